# SPDX-License-Identifier: Apache-2.0
"""Recycled buffers come back exactly when nothing refers to them any more."""

from __future__ import annotations

from zipnn_like.buffers import BufferPool, Window


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


def test_a_pool_recycles_what_it_made_and_nothing_else() -> None:
    pool = BufferPool(1000)
    buffer = pool.take(600)
    assert len(buffer) == 1000
    pool.give(buffer)
    pool.give(bytearray(999))
    assert pool.take() is buffer
    assert pool.take() is not buffer


def test_small_and_large_needs_get_buffers_of_their_size() -> None:
    # A window holds thousands of small ones, which must not each weigh a full buffer.
    pool = BufferPool(1000)
    assert [len(pool.take(n)) for n in (0, 1, 499, 500, 1000, 1001, 5000)] == [
        *(0, 1, 499, 1000, 1000, 1001, 5000)
    ]
