#!/usr/bin/env python3
"""Run jobs on a Slurm cluster: one sbatch array, waited for.

    slurm.pl [--max_jobs_run M] [--gpu G] [--num_threads C] [--num_nodes K] [--mem X]
             [--any_sbatch_option value ...] [JOB=1:N] LOG COMMAND [ARGUMENT ...]

Other options are handed to sbatch: --partition gpu --time 2-00:00:00. Each task of the array runs
its job through run_jobs.py, so that logs look the same everywhere. Slurm's own messages go to q/
beside the logs. The name slurm.pl is the one that ESPnet's launch knows: with --num_nodes it puts
srun before its command, and this script asks for that many nodes.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

from jobs import JobError, Jobs, logged_status, main, positive, report
from tqdm import tqdm

POLL = 1.0  # seconds between two looks at the logs
GRACE = 15.0  # seconds that a shared file system may take to show the end of a log
OURS = ("max_jobs_run", "gpu", "num_threads", "num_nodes")
RUNNER = Path(__file__).resolve().with_name("run_jobs.py")


def sbatch_options(jobs: Jobs) -> list[str]:
    """Options of the convention as options of sbatch."""
    options = jobs.options
    result = [f"--{key.replace('_', '-')}={v}" for key, v in options.items() if key not in OURS]
    gpus = options.get("gpu", "0")
    if not gpus.isdigit():
        raise JobError(f"--gpu {gpus}: expected a number of GPUs")
    if int(gpus):
        result.append(f"--gres=gpu:{gpus}")
    nodes = positive(options, "num_nodes", 1)
    result += [f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1"]
    result.append(f"--cpus-per-task={positive(options, 'num_threads', 1)}")
    if jobs.name:
        max_jobs = f"%{positive(options, 'max_jobs_run', 1)}" if "max_jobs_run" in options else ""
        result.append(f"--array={jobs.first}-{jobs.last}{max_jobs}")
    return result


def batch_script(jobs: Jobs) -> str:
    """The script that Slurm runs for every task."""
    task = f'{jobs.name}="${{SLURM_ARRAY_TASK_ID}}" ' if jobs.name else ""
    words = shlex.join([jobs.log, *jobs.command])
    return (
        "#!/usr/bin/env bash\n"
        f"cd {shlex.quote(os.getcwd())} || exit 1\n"
        f"exec {shlex.join([sys.executable, str(RUNNER)])} {task}{words}\n"
    )


def run(jobs: Jobs) -> None:
    """Submit all jobs and wait for them; raises JobError when some fail."""
    stem = Path(jobs.log).name.removesuffix(".log")
    folder = Path(jobs.log).parent / "q"
    if jobs.name and jobs.name in str(folder):
        raise JobError(f"{jobs.log}: {jobs.name} may stand in the name of the log, not its folder")
    folder.mkdir(parents=True, exist_ok=True)
    for number in jobs.numbers:  # so that a status found later is that of this run
        jobs.log_of(number).unlink(missing_ok=True)
    messages = folder / (f"{stem}.%a.out" if jobs.name else f"{stem}.out")
    script = folder / f"{stem}.sh"
    script.write_text(batch_script(jobs), encoding="utf-8")
    command = ["sbatch", "--parsable", "--wait", f"--job-name={stem}", f"--output={messages}"]
    submit_and_wait(jobs, [*command, *sbatch_options(jobs), str(script)])
    statuses = wait_for_logs(jobs)
    failed = {}
    for number, status in statuses.items():
        if status is None:
            where = str(messages).replace("%a", str(number))
            failed[number] = f"did not run to its end, Slurm's messages: {where}"
        elif status:
            failed[number] = f"ended with status {status}"
    report(jobs, failed)


def submit_and_wait(jobs: Jobs, command: list[str]) -> None:
    """Run sbatch, which waits; when interrupted, take the jobs back."""
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True, start_new_session=True)  # fmt: skip
    except FileNotFoundError:
        raise JobError("sbatch: not found; take cmd_backend=local in cmd.sh") from None
    job = process.stdout.readline().strip().partition(";")[0]
    if not job:
        reason = " ".join(process.stderr.read().split())
        raise JobError(f"sbatch does not take the job: {reason}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    count, done = len(jobs.numbers), 0
    label = f"{Path(jobs.log).name} (job {job})"
    try:
        with tqdm(total=count, desc=label, disable=count == 1 or None) as bar:
            while process.poll() is None:
                time.sleep(POLL)
                ended = sum(logged_status(jobs.log_of(n)) is not None for n in jobs.numbers)
                bar.update(ended - done)
                done = ended
                if done == count:  # sbatch itself looks only every half minute
                    process.kill()
                    process.wait()
    except BaseException:
        subprocess.run(["scancel", job], check=False)
        process.kill()
        raise


def wait_for_logs(jobs: Jobs) -> dict[int, int | None]:
    """The status of every job by its log, given some time to come through the file system."""
    deadline = time.monotonic() + GRACE
    while True:
        statuses = {number: logged_status(jobs.log_of(number)) for number in jobs.numbers}
        # A job whose log was never opened was not started; there is nothing to wait for.
        open_logs = [n for n, s in statuses.items() if s is None and jobs.log_of(n).exists()]
        if not open_logs or time.monotonic() > deadline:
            return statuses
        time.sleep(POLL)


if __name__ == "__main__":
    try:
        sys.exit(main(run, sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
