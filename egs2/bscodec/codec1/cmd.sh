# shellcheck shell=bash disable=SC2034
# Where jobs run. A command is called as
#     ${train_cmd} [--option value ...] JOB=1:N LOG COMMAND...
# the way of Kaldi's run.pl, queue.pl and slurm.pl; a script of your own that keeps to it fits here
# too. `cmd_backend=slurm ./run.sh ...` chooses without an edit of this file.

cmd_backend="${cmd_backend:-local}"

case "${cmd_backend}" in
    local) # this machine, as many jobs at a time as there are CPUs
        train_cmd="utils/run.pl"
        cuda_cmd="utils/run.pl"
        decode_cmd="utils/run.pl"
        ;;
    slurm) # other options are sbatch's own, e.g. --partition gpu --time 2-00:00:00
        train_cmd="utils/slurm.pl"
        cuda_cmd="utils/slurm.pl"
        decode_cmd="utils/slurm.pl"
        ;;
    dask) # local/tokenize.sh and stage 7 on Dask's workers (docs/cluster.md), other jobs on this machine
        train_cmd="utils/run.pl"
        cuda_cmd="utils/run.pl"
        decode_cmd="utils/run.pl"
        dask_cluster="${dask_cluster:-dask.yaml}" # or tcp://host:8786
        ;;
    *)
        echo "cmd.sh: cmd_backend=${cmd_backend}: expected local, slurm or dask" >&2
        exit 1
        ;;
esac
