"""The target in force: for a block, and for nothing else."""

import signal

import pytest

import fastopt as fo


def test_a_wrong_target_is_refused_where_it_is_named():
    with pytest.raises(ValueError, match=r"^target: expected one of 'cython', .*, got 'numbaa'$"):
        fo.target("numbaa")


def test_a_function_may_run_on_a_target_of_its_own():
    @fo.target("reference")
    def within():
        return fo.get_target()

    before = fo.get_target()
    assert [within(), within()] == ["reference", "reference"]
    assert fo.get_target() == before


class Interrupted(Exception):
    pass


def test_an_interrupted_block_leaves_no_target_behind():
    def interrupt(number, frame):
        raise Interrupted

    before, handler = fo.get_target(), signal.signal(signal.SIGALRM, interrupt)
    try:
        for trial in range(200):
            try:
                signal.setitimer(signal.ITIMER_REAL, 1e-5 + trial % 20 * 1e-6)
                for _ in range(1000):
                    with fo.target("reference"):
                        pass
            except Interrupted:
                pass
            assert fo.get_target() == before
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
