"""The books of the pinned buffers: grown by buckets, reused, every lock taken back."""

import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphacut_server.engine.buffers import (
    BufferPool,
    CudaPinner,
    HostBuffer,
    HostPinner,
    NoPinner,
    bucket_for,
    bucket_sizes,
)

SIDE_PX = 16


class FakePinner:
    """Keeps which addresses are locked; refuses from the call `refuse_from` on."""

    def __init__(self, refuse_from: int = 1 << 30) -> None:
        self.locked: dict[int, int] = {}
        self.calls = 0
        self.refuse_from = refuse_from

    def pin(self, address: int, size_bytes: int) -> bool:
        self.calls += 1
        if self.calls >= self.refuse_from:
            return False
        assert address not in self.locked
        self.locked[address] = size_bytes
        return True

    def unpin(self, address: int) -> None:
        del self.locked[address]


def make_pool(pinner: FakePinner, *, depth: int = 1, max_batch_size: int = 8) -> BufferPool:
    """Make an empty pool."""
    return BufferPool(SIDE_PX, bucket_sizes(max_batch_size), depth=depth, pinner=pinner)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(1, (1,)), (2, (1, 2)), (3, (1, 2, 3)), (12, (1, 2, 4, 8, 12)), (16, (1, 2, 4, 8, 16))],
)
def test_buckets_double_and_end_at_the_limit(limit: int, expected: tuple[int, ...]) -> None:
    """Powers of two, and the limit itself where it is none."""
    assert bucket_sizes(limit) == expected


@given(limit=st.integers(1, 300), data=st.data())
def test_every_size_has_a_bucket_less_than_twice_as_large(limit: int, data: st.DataObject) -> None:
    """The smallest bucket that holds a size wastes less than the size itself."""
    size = data.draw(st.integers(1, limit))

    bucket = bucket_for(size, bucket_sizes(limit))

    assert size <= bucket < 2 * size or bucket == 1
    assert bucket <= limit


def test_a_size_beyond_the_limit_has_no_bucket() -> None:
    """Asking for one is a bug."""
    with pytest.raises(ValueError, match="no bucket"):
        bucket_for(9, (1, 2, 4, 8))


def test_buffers_are_reused_and_grow_only_when_too_small() -> None:
    """Sizes 3, 4, 1 share the buffer of 4; 5 replaces it by one of 8, which stays."""
    pinner = FakePinner()
    pool = make_pool(pinner)
    seen: list[HostBuffer] = []

    for size in (3, 4, 1, 5, 2):
        with pool.borrow(size) as buffer:
            seen.append(buffer)

    assert [buffer.capacity for buffer in seen] == [4, 4, 4, 8, 8]
    assert seen[0] is seen[1] is seen[2]
    assert seen[3] is seen[4]
    assert sorted(pinner.locked.values()) == [8 * SIDE_PX**2, 8 * SIDE_PX**2 * 3]


def test_a_buffer_holds_tensors_and_mattes_of_its_capacity() -> None:
    """Both arrays begin on a page, which is what can be locked, and can be written."""
    with make_pool(FakePinner()).borrow(2) as buffer:
        assert buffer.tensors.shape == (2, SIDE_PX, SIDE_PX, 3)
        assert buffer.mattes.shape == (2, SIDE_PX, SIDE_PX)
        assert buffer.tensors.ctypes.data % 4096 == buffer.mattes.ctypes.data % 4096 == 0
        assert buffer.is_pinned
        buffer.tensors[:] = 7
        buffer.mattes[:] = 7


def test_two_borrowers_have_two_buffers_and_a_third_waits() -> None:
    """With depth 2 the third borrower gets the buffer that comes back first."""
    pool = make_pool(FakePinner(), depth=2)
    third: list[HostBuffer] = []
    borrowed = threading.Event()

    def borrow() -> None:
        with pool.borrow(1) as buffer:
            third.append(buffer)
            borrowed.set()

    with pool.borrow(1) as outer:
        with pool.borrow(1) as inner:
            thread = threading.Thread(target=borrow)
            thread.start()
            had_two = inner is not outer
            third_had_to_wait = not borrowed.is_set()
        assert borrowed.wait(10)
        thread.join(10)

    assert had_two
    assert third_had_to_wait
    assert third[0] is inner


def test_the_largest_free_buffer_is_spared_for_small_batches() -> None:
    """A batch of one takes the buffer of one, although a larger one is free."""
    pool = make_pool(FakePinner(), depth=2)

    with pool.borrow(8), pool.borrow(1) as small:
        pass
    with pool.borrow(1) as again:
        pass

    assert again is small


def test_a_buffer_comes_back_from_a_failing_batch() -> None:
    """An exception while a buffer is lent does not lose it."""
    pool = make_pool(FakePinner())

    with pytest.raises(RuntimeError), pool.borrow(1):
        raise RuntimeError("the run failed")

    with pool.borrow(1) as buffer:
        assert buffer.capacity == 1


@pytest.mark.parametrize("refuse_from", [1, 2])
def test_a_driver_that_refuses_leaves_a_plain_buffer_and_no_lock(refuse_from: int) -> None:
    """Both arrays are locked or neither; the batch runs from pageable memory."""
    pinner = FakePinner(refuse_from)

    with make_pool(pinner).borrow(2) as buffer:
        is_pinned = buffer.is_pinned

    assert not is_pinned
    assert pinner.locked == {}


def test_close_takes_every_lock_back() -> None:
    """What is free is unlocked at once, what is lent when it comes back."""
    pinner = FakePinner()
    pool = make_pool(pinner, depth=2)
    with pool.borrow(1), pool.borrow(4):
        pass

    with pool.borrow(4):
        pool.close()
        locked_while_lent = len(pinner.locked)

    assert locked_while_lent == 2
    assert pinner.locked == {}


@pytest.mark.parametrize("find", [NoPinner, CudaPinner.find])
def test_without_cuda_nothing_is_locked(find: Callable[[], HostPinner]) -> None:
    """In a process that never loaded libcudart the pinner says no, and no harm is done."""
    pinner = find()

    is_pinned = pinner.pin(4096, 4096)
    pinner.unpin(4096)

    assert not is_pinned


class FakeFunction:
    """A C function that answers a fixed code and keeps its calls."""

    def __init__(self, code: int) -> None:
        self.code = code
        self.argtypes: tuple[type, ...] = ()
        self.calls: list[tuple[int, ...]] = []

    def __call__(self, *arguments: int) -> int:
        self.calls.append(arguments)
        return self.code


class FakeLibrary:
    """A libcudart whose registration answers a fixed code."""

    def __init__(self, code: int) -> None:
        self.cudaHostRegister = FakeFunction(code)
        self.cudaHostUnregister = FakeFunction(0)


@pytest.mark.parametrize(("code", "expected"), [(0, True), (2, False)])
def test_cudas_answer_decides(code: int, expected: bool) -> None:
    """0 is success; out of lockable memory (2) is a no, not an exception."""
    library = FakeLibrary(code)
    pinner = CudaPinner(library)

    is_pinned = pinner.pin(8192, 100)
    pinner.unpin(8192)

    assert is_pinned is expected
    assert library.cudaHostRegister.calls == [(8192, 100, 1)]
    assert library.cudaHostUnregister.calls == [(8192,)]
    assert len(library.cudaHostRegister.argtypes) == 3
