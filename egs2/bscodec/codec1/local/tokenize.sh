#!/usr/bin/env bash
# Turn a corpus into discrete tokens by jobs that run where cmd.sh says: bscodec tokenize, its part
# in each job, and the index at the end. Run again, it goes on where it was.
set -euo pipefail

nj=
gpu=false
tokenize_args=

help_message="Usage: local/tokenize.sh [options] MODEL IN OUT
  MODEL IN OUT     as for bscodec tokenize: a tag or an experiment's folder; wav.scp, a list or a
                   folder; the folder of tokens (docs/tokens.md)
  --nj             jobs                              (default: number of CPUs, 32 with slurm; not for dask)
  --gpu            a GPU for each job                (default: ${gpu})
  --tokenize_args  options for bscodec tokenize, e.g. '--format speechlm --shard-size 500'"

. utils/parse_options.sh
. utils/common.sh
. ./path.sh
. ./cmd.sh

[ $# -eq 3 ] || die "expected MODEL IN OUT; see --help"
model=$1
in=$2
out=$3
need "${in}" "it is what is to be tokenized"
if [ -z "${nj}" ]; then
    if [ "${cmd_backend}" = slurm ]; then nj=32; else nj=$(available_cpus); fi
fi
[[ ${nj} =~ ^[1-9][0-9]*$ ]] || die "--nj ${nj}: expected a whole number above 0"
arguments=()
words arguments "${tokenize_args}"

command=${decode_cmd}
device=cpu
if ${gpu}; then
    command="${cuda_cmd} --gpu 1"
    device=cuda
fi
tokenize=(python3 -m espnet2.bin.bscodec tokenize "${in}" -o "${out}" --model "${model}")
tokenize+=("${arguments[@]}")
if [ "${cmd_backend}" = dask ]; then
    exec "${tokenize[@]}" --device "${device}" --cluster "${dask_cluster}"
fi

rm -f "${out}"/log/tokenize.*.log
# shellcheck disable=SC2086
${command} JOB="1:${nj}" "${out}/log/tokenize.JOB.log" \
    "${tokenize[@]}" --device "${device}" --nj 1 --shard "JOB/${nj}"
cat "${out}"/log/tokenize.*.log | awk -F ', ' -v jobs="${nj}" \
    '/ hours of audio per hour$/ { sum += $NF }
     END { if (sum) printf "%d jobs: %.1f hours of audio per hour together\n", jobs, sum }'
"${tokenize[@]}" --device cpu --merge
