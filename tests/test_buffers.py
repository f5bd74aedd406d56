# SPDX-License-Identifier: Apache-2.0
"""Recycled buffers come back exactly when nothing refers to them any more."""

from __future__ import annotations

import contextlib
import os
import sys
import threading

import pytest

from zipnn_like.buffers import LARGE_NBYTES, BufferPool, Lease, Window, fresh_bytearray
from zipnn_like.errors import ZnlError
from zipnn_like.outputs import MemoryOutput
from zipnn_like.parallel import Follower


def test_a_buffer_comes_back_when_all_of_it_is_out_of_reach() -> None:
    pool = BufferPool(8)
    window = Window(100, pool)
    first, second = pool.take(), pool.take()
    window.push(10, first)
    window.push(109, second)
    assert pool.take() is not first  # its last byte lies 100 bytes before the end: in reach
    window.push(110, pool.take())
    assert pool.take() is first
    assert pool.take() is not second


def test_a_buffer_that_goes_on_is_held_once() -> None:
    pool = BufferPool(8)
    window = Window(100, pool)
    shared = pool.take()
    for stop in range(1, 9):
        window.push(stop, shared)
    window.push(107, pool.take())
    assert pool.take() is not shared  # its last byte is in reach
    window.push(108, pool.take())
    assert pool.take() is shared
    assert pool.take() is not shared


def test_a_pool_recycles_what_it_made_and_nothing_else() -> None:
    pool = BufferPool(1000)
    buffer = pool.take(600)
    assert len(buffer) == 1000
    pool.give(buffer)
    pool.give(bytearray(999))
    assert pool.take() is buffer
    assert pool.take() is not buffer


def test_a_pool_keeps_no_more_idle_buffers_than_it_may() -> None:
    pool = BufferPool(8, most_free=2)
    buffers = [pool.take() for _ in range(3)]
    for buffer in buffers:
        pool.give(buffer)
    taken = [pool.take() for _ in range(3)]
    assert sum(any(t is b for b in buffers) for t in taken) == 2


def test_small_and_large_needs_get_buffers_of_their_size() -> None:
    # A window holds thousands of small ones, which must not each weigh a full buffer.
    pool = BufferPool(1000)
    assert [len(pool.take(n)) for n in (0, 1, 499, 500, 1000, 1001, 5000)] == [
        *(0, 1, 499, 1000, 1000, 1001, 5000)
    ]


def test_a_leased_buffer_comes_back_when_its_last_user_lets_go() -> None:
    pool = BufferPool(8)
    lease = Lease(pool, pool.take())
    lease.share().release()
    assert pool.take() is not lease.buffer
    lease.release()
    assert pool.take() is lease.buffer


@pytest.mark.parametrize("nbytes", [0, 1, LARGE_NBYTES - 1, LARGE_NBYTES, LARGE_NBYTES + 4097])
def test_fresh_bytearrays_have_their_size_and_take_every_byte(nbytes: int) -> None:
    room = fresh_bytearray(nbytes)
    assert type(room) is bytearray
    content = os.urandom(nbytes)
    room[:] = content
    assert room == content


def test_fresh_bytearrays_need_no_ctypes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ctypes", None)
    assert len(fresh_bytearray(LARGE_NBYTES)) == LARGE_NBYTES


@pytest.mark.parametrize("expected", [0, 10, LARGE_NBYTES])
def test_memory_output_takes_more_than_was_expected(expected: int) -> None:
    output, wanted = MemoryOutput(expected), bytearray()
    for number, nbytes in enumerate((5, 70_000, 0, LARGE_NBYTES // 2, 3, LARGE_NBYTES)):
        piece = bytes([number]) * nbytes
        with output.reserve(nbytes + 100) as room:
            room[:nbytes] = piece
        output.advance(nbytes)
        output.write(b"between")
        wanted += piece + b"between"
    assert output.finish() == wanted


def test_a_follower_runs_calls_in_order_and_tells_their_errors() -> None:
    seen: list[int] = []
    with Follower(2) as follower:
        for i in range(50):
            follower.call(lambda i=i: seen.append(i))  # type: ignore[misc]
        follower.finish()
        assert seen == list(range(50))

        def fail() -> None:
            raise ZnlError("full")

        follower.call(fail)
        with pytest.raises(ZnlError, match="full"):
            follower.finish()


def test_a_follower_waits_for_what_it_began_when_the_caller_fails() -> None:
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def slow() -> None:
        begun.set()
        may_end.wait(10)
        ended.set()

    with contextlib.suppress(KeyError), Follower(1) as follower:
        follower.call(slow)
        begun.wait(10)
        may_end.set()
        raise KeyError
    assert ended.is_set()
