"""How many CPUs this process may use."""

import functools


@functools.cache
def available_cpus() -> int:
    """Return a number from 1: what affinity and a container's quota (cgroup v1, v2) leave.

    ``LOKY_MAX_CPU_COUNT`` lowers it. A quota above the container's own cgroup is not seen.
    """
    from joblib import cpu_count

    return max(1, cpu_count())
