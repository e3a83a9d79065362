"""A Slurm cluster of two virtual nodes on this machine, for as long as a test needs it."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("sbatch", "scancel", "slurmctld", "slurmd", "munged")

CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={base}/munge.socket
CredType=cred/munge
MpiDefault=none
SwitchType=switch/none
TaskPlugin=task/none
ProctrackType=proctrack/linuxproc
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=1
ReturnToService=2
KillWait=2
StateSaveLocation={base}/state
SlurmdSpoolDir={base}/spool/%n
SlurmctldPidFile={base}/slurmctld.pid
SlurmdPidFile={base}/slurmd.%n.pid
SlurmctldTimeout=30
SlurmdTimeout=60
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={first} CPUs={cpus} RealMemory={memory}
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={second} CPUs={cpus} RealMemory={memory}
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Why there can be no cluster here, or an empty string."""
    if os.geteuid() != 0:
        return "only root can start Slurm's daemons"
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"not installed: {' '.join(absent)}" if absent else ""


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def start(base: Path) -> None:
    """Start munged, the controller and the two nodes, and wait until both are idle."""
    for name in ("state", "spool/n1", "spool/n2", "log"):
        (base / name).mkdir(parents=True)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 - 1024
    host = socket.gethostname().partition(".")[0]
    ports = dict(zip(("controller", "first", "second"), free_ports(3), strict=True))
    conf = base / "slurm.conf"
    conf.write_text(CONF.format(base=base, host=host, cpus=os.cpu_count(), memory=memory, **ports))
    key = base / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    files = [f"--{kind}-file={base}/munge.{kind}" for kind in ("key", "pid", "log", "seed")]
    run("munged", "--force", f"--socket={base}/munge.socket", *files)
    run("slurmctld", "-f", conf, "-c", "-L", base / "log/slurmctld")
    for node in ("n1", "n2"):
        run("slurmd", "-f", conf, "-N", node, "-L", base / f"log/slurmd.{node}")
    deadline = time.monotonic() + 60
    call = ["sinfo", "--noheader", "--format=%T"]
    while subprocess.run(call, capture_output=True, text=True, check=False).stdout.split() != [
        "idle"
    ]:
        if time.monotonic() > deadline:
            raise RuntimeError((base / "log/slurmctld").read_text()[-3000:])
        time.sleep(0.5)


def run(*command: object) -> None:
    """Run a program that puts itself into the background."""
    subprocess.run([*map(str, command)], check=True, capture_output=True)


def stop(base: Path) -> None:
    """End the daemons by their pid files."""
    for path in [*base.glob("slurm*.pid"), *base.glob("munge.pid")]:
        try:
            os.kill(int(path.read_text()), 15)
        except (ProcessLookupError, ValueError):
            continue
        deadline = time.monotonic() + 10
        while path.exists() and time.monotonic() < deadline:
            time.sleep(0.1)


@contextmanager
def cluster():
    """Start a cluster, point SLURM_CONF at it, and stop it at the end."""
    base = Path(tempfile.mkdtemp(prefix="slurm"))  # short: a socket's path has 108 characters
    before = os.environ.get("SLURM_CONF")
    os.environ["SLURM_CONF"] = str(base / "slurm.conf")
    try:
        start(base)
        yield
    finally:
        stop(base)
        os.environ.pop("SLURM_CONF")
        if before is not None:
            os.environ["SLURM_CONF"] = before
        shutil.rmtree(base, ignore_errors=True)
