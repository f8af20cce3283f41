"""Work dealt out to threads, and memory kept between steps."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time

import pytest
import torch

from bench3dmm.system.parallel import Workers, keep_freed_memory


@pytest.fixture
def threads():
    """Sets torch's number of threads, until the test ends."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_values_come_in_the_order_of_the_items(threads):
    threads(3)

    def slowest_first(item):
        time.sleep(0.02 * (3 - item % 3))
        return item * item

    with Workers(3) as workers:
        assert workers.map(slowest_first, range(9)) == [item * item for item in range(9)]


@pytest.mark.parametrize(("cores", "most", "count"), [(1, 8, 1), (2, 8, 2), (4, 3, 3), (4, 2, 2), (4, 4, 4)])
def test_no_more_threads_than_torch_uses_or_than_asked_for(threads, cores, most, count):
    threads(cores)
    lock, running, peak, names = threading.Lock(), [], [], set()

    def busy(item):
        with lock:
            running.append(item)
            peak.append(len(running))
            names.add(threading.current_thread().name)
        time.sleep(0.005)
        with lock:
            running.remove(item)

    with Workers(most) as workers:
        assert workers.count == count
        workers.map(busy, range(4 * count))
    assert max(peak) <= count and len(names) <= count
    assert max(peak) == count, "they did not run at the same time"


def test_all_items_run_at_once_where_there_is_a_thread_for_each(threads):
    threads(2)
    both = threading.Barrier(2, timeout=10)
    with Workers(2) as workers:
        workers.map(lambda _: both.wait(), range(2))  # breaks if one waits for the other


@pytest.mark.parametrize(("cores", "most"), [(2, 2), (4, 2), (5, 2), (3, 3), (4, 1), (1, 4)])
def test_an_operation_has_one_thread_inside_and_all_cores_outside(threads, cores, most):
    threads(cores)
    with Workers(most) as workers:
        assert torch.get_num_threads() == 1
        inside = workers.map(lambda _: (time.sleep(0.005), torch.get_num_threads())[1], range(2 * workers.count))
        assert set(inside) == {1}
    assert torch.get_num_threads() == cores


def test_threads_end_with_the_block(threads):
    threads(2)
    with Workers(2) as workers:
        workers.map(abs, range(4))
        assert sum("bench3dmm" in thread.name for thread in threading.enumerate()) > 0
    assert not any("bench3dmm" in thread.name for thread in threading.enumerate())


@pytest.mark.parametrize("most", [1, 2])
def test_exception_reaches_the_caller_and_cores_are_given_back(threads, most):
    threads(2)

    def fails(item):
        if item == 2:
            raise KeyError("item two")
        return item

    with pytest.raises(KeyError, match="item two"), Workers(most) as workers:
        workers.map(fails, range(4))
    assert torch.get_num_threads() == 2
    with pytest.raises(KeyboardInterrupt), Workers(most):
        raise KeyboardInterrupt
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("most", [-1, 0, 1])
def test_one_worker_is_the_calling_thread(threads, most):
    threads(2)
    with Workers(most) as workers:
        assert workers.count == 1
        idents = workers.map(lambda _: threading.get_ident(), range(3))
        assert torch.get_num_threads() == 1
    assert set(idents) == {threading.get_ident()}


def test_keep_freed_memory_says_whether_it_could():
    answer = keep_freed_memory()
    assert answer is keep_freed_memory()
    assert isinstance(answer, bool)
    if not sys.platform.startswith("linux"):
        assert not answer


@pytest.mark.skipif(not keep_freed_memory(), reason="the C library is not glibc")
def test_memory_of_one_step_serves_the_next_without_page_faults():
    """In a process of its own: the setting lasts as long as the process."""
    program = textwrap.dedent(
        """
        import resource

        import torch

        from bench3dmm.system.parallel import keep_freed_memory

        torch.set_num_threads(1)

        def step():
            for megabytes in (2.5, 20):
                kept = [torch.ones(int(megabytes * 2**18)) for _ in range(3)]  # alive together, as a step's maps
                del kept

        def faults(warm_up=20, steps=10):
            for _ in range(warm_up):
                step()
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            for _ in range(steps):
                step()
            return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / steps

        print(faults())
        assert keep_freed_memory()
        print(faults())
        """
    )
    # Left alone, the C library adapts its thresholds and gets through many a simple loop without faults, by luck.
    fixed = {"MALLOC_MMAP_THRESHOLD_": "131072"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | fixed, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    untouched, kept = (float(line) for line in done.stdout.splitlines())
    assert untouched > 20, "there were no faults to save"
    assert kept < 5
