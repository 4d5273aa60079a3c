"""The settings of the process: a target holds for a block."""

import pytest

import fastopt as fo


def test_a_target_that_is_dropped_without_a_block_says_so():
    with pytest.warns(RuntimeWarning, match=r"target: nothing was set; write `with fo\.target\('reference'\):`"):
        fo.target("reference")
    assert fo.get_target() == "cython"


def test_a_wrong_target_is_refused_when_it_is_named():
    with pytest.raises(ValueError, match="target: expected one of"):
        fo.target("metal")


def test_blocks_nest_and_one_may_be_entered_again():
    block = fo.target("reference")
    with block:
        with fo.target("cython"), block:
            assert fo.get_target() == "reference"
        assert fo.get_target() == "reference"
    assert fo.get_target() == "cython"
