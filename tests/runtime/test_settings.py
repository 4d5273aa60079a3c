"""The target in force: for a block, and for nothing else."""

import asyncio
import gc
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


def test_a_coroutine_runs_on_its_target_when_it_is_awaited():
    @fo.target("reference")
    async def within():
        await asyncio.sleep(0)
        return fo.get_target()

    async def both():
        return await asyncio.gather(within(), within()), fo.get_target()

    assert asyncio.run(both()) == (["reference"] * 2, fo.get_target())


def test_a_generator_is_no_function_that_runs_on_a_target():
    def within():
        yield

    with pytest.raises(TypeError, match=r"^function: expected one that has done .* got a generator; write `with fo"):
        fo.target("reference")(within)


def test_blocks_nest_though_they_are_one_object():
    block, before = fo.target("reference"), fo.get_target()
    with block, fo.target("cython"), block:
        assert fo.get_target() == "reference"
    assert fo.get_target() == before


def test_a_target_that_nobody_enters_is_a_warning():
    with pytest.warns(
        RuntimeWarning, match=r"^fo.target\('reference'\) alone changes nothing; write `with fo"
    ) as found:
        fo.target("reference")
    assert found[0].filename == __file__


class Interrupted(Exception):
    pass


@pytest.mark.filterwarnings("ignore:fo.target")  # interrupted before it was entered: true, and not the subject
def test_an_interrupted_block_leaves_no_target_behind():
    def interrupt(number, frame):
        raise Interrupted

    before, handler = fo.get_target(), signal.signal(signal.SIGALRM, interrupt)
    gc.disable()  # what a handler raises in a callback of the collector's, as hypothesis has one, is lost
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
        gc.enable()
