#!/usr/bin/env python3
"""Run jobs on this machine, so many at a time.

    run.pl [--max_jobs_run M] [JOB=1:N] LOG COMMAND [ARGUMENT ...]

All jobs are run even when one fails; then the failed ones are named. Options that only a cluster
knows (--mem, --gpu, --num_threads, ...) are accepted and change nothing here. The name run.pl is
the one that ESPnet's launch and its users know.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import deque

from jobs import JobError, Jobs, RunningJob, main, positive, report
from tqdm import tqdm

from espnet2.gan_codec.bscodec.inference.cpus import available_cpus

POLL = 0.05  # seconds between two looks at the running jobs


def run(jobs: Jobs) -> None:
    """Run all jobs; raises JobError when some fail."""
    if positive(jobs.options, "num_nodes", 1) > 1:
        raise JobError("--num_nodes: one machine only; take cmd_backend=slurm in cmd.sh")
    at_once = positive(jobs.options, "max_jobs_run", available_cpus())
    waiting, running, failed = deque(jobs.numbers), {}, {}
    alone = len(waiting) == 1
    bar = tqdm(total=len(waiting), desc=os.path.basename(jobs.log), disable=alone or None)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    caller = os.getppid()
    try:
        with bar:
            while waiting or running:
                while waiting and len(running) < at_once:
                    number = waiting.popleft()
                    running[number] = RunningJob(jobs, number)
                for number, job in list(running.items()):
                    status = job.status()
                    if status is not None:
                        del running[number]
                        bar.update()
                        if status:
                            failed[number] = describe_exit(status)
                if os.getppid() != caller:
                    raise JobError("what called this is gone, so its jobs are stopped")
                time.sleep(POLL)
    finally:  # interrupted: nothing is left running
        for job in running.values():
            stop(job)
    report(jobs, failed)


def describe_exit(status: int) -> str:
    """An exit status in words."""
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return f"ended with status {status}"


def stop(job: RunningJob) -> None:
    """End a job and all that it has started."""
    if job.process is not None and job.process.poll() is None:
        os.killpg(job.process.pid, signal.SIGTERM)
        job.process.wait()
    job.status()


if __name__ == "__main__":
    try:
        sys.exit(main(run, sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
