import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.runtime.cpus import keep_to_own_cpu, usable_cpus


def member(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "membership"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def v1(folder: Path, quota: str, period: str = "100000") -> None:
    folder.mkdir(parents=True)
    (folder / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (folder / "cpu.cfs_period_us").write_text(f"{period}\n")


@pytest.mark.parametrize(
    ("quota", "cpus"),
    [("max 100000", 8), ("200000 100000", 2), ("150000 100000", 2), ("1000 100000", 1), ("9900000 100000", 8)],
)
def test_a_quota_of_cgroup_v2_lowers_the_count(tmp_path, quota, cpus):
    (tmp_path / "cpu.max").write_text(f"{quota}\n")
    assert usable_cpus(tmp_path, affinity=8) == cpus


@pytest.mark.parametrize(("quota", "cpus"), [("-1", 8), ("300000", 3)])
def test_a_quota_of_cgroup_v1_lowers_the_count(tmp_path, quota, cpus):
    v1(tmp_path / "cpu", quota)
    assert usable_cpus(tmp_path, affinity=8) == cpus


@pytest.mark.parametrize("mount", ["cpu", "cpu,cpuacct"])
def test_version_1_is_found_wherever_it_is_mounted(tmp_path, mount):
    v1(tmp_path / mount / "docker" / "abc", "250000")
    lines = member(tmp_path, "7:memory:/docker/abc", "4:cpu,cpuacct:/docker/abc")
    assert usable_cpus(tmp_path, affinity=8, membership=lines) == 3


def test_the_smallest_quota_up_the_tree_of_version_2_counts(tmp_path):
    inner = tmp_path / "system.slice" / "harmonic.service"
    inner.mkdir(parents=True)
    (inner / "cpu.max").write_text("600000 100000\n")
    (inner.parent / "cpu.max").write_text("400000 100000\n")
    lines = member(tmp_path, "0::/system.slice/harmonic.service")
    assert usable_cpus(tmp_path, affinity=8, membership=lines) == 4


def test_a_group_whose_path_is_the_hosts_falls_back_to_what_is_mounted(tmp_path):
    v1(tmp_path / "cpu", "200000")
    lines = member(tmp_path, "4:cpu,cpuacct:/kubepods/burstable/pod1/abc")
    assert usable_cpus(tmp_path, affinity=8, membership=lines) == 2


@pytest.mark.parametrize("text", ["", "max", "0 100000", "100000 0", "a b", "-5 100000", "1 2 3"])
def test_a_quota_that_is_none_does_not_count(tmp_path, text):
    (tmp_path / "cpu.max").write_text(text)
    v1(tmp_path / "cpu", "0", "0")
    assert usable_cpus(tmp_path, affinity=5, membership=member(tmp_path, "nonsense", "0::/../outside")) == 5


def test_without_a_quota_the_affinity_counts(tmp_path):
    assert usable_cpus(tmp_path, affinity=5) == 5
    assert usable_cpus() >= 1


def in_a_thread_of_its_own(work: Callable[[], object]) -> object:
    """What work gives, in a thread: affinity is a thread's, and pytest's own shall stay as it is."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system knows no affinity")
def test_each_process_gets_a_cpu_and_its_threads_with_it():
    cpus = sorted(os.sched_getaffinity(0))

    def kept(number: int) -> object:
        own = keep_to_own_cpu(number, len(cpus))
        return own, os.sched_getaffinity(0), in_a_thread_of_its_own(lambda: os.sched_getaffinity(0))

    for number, cpu in enumerate(cpus, 1):
        assert in_a_thread_of_its_own(lambda number=number: kept(number)) == (cpu, {cpu}, {cpu})


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system knows no affinity")
@pytest.mark.parametrize("more", [-1, 1])
def test_where_processes_are_not_as_many_as_cpus_none_is_bound(more):
    cpus = os.sched_getaffinity(0)

    def kept() -> object:
        return keep_to_own_cpu(1, len(cpus) + more), os.sched_getaffinity(0)

    assert in_a_thread_of_its_own(kept) == (None, cpus)
