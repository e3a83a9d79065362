#!/usr/bin/env bash
# Train and evaluate a neural audio codec with ESPnet, stage by stage.
set -euo pipefail

run_command=("$0" "$@") # for the run.sh of an experiment folder

# General
stage=1
stop_stage=9
skip_data_prep=false
skip_train=false
skip_eval=false
skip_packing=true
skip_upload=true
ngpu=
num_nodes=1
nj=
inference_nj=
gpu_inference=false
dumpdir=dump
expdir=exp

# Data
local_data_opts=
train_set=
valid_set=
test_sets=
fs=24000
min_wav_duration=0.1
max_wav_duration=30

# Training
train_config=
train_args=
pretrained_model=
tag=
codec_exp=
codec_stats_dir=

# Decoding and scoring
inference_config=
inference_args=
inference_tag=
inference_model=
download_model=
scoring_args=

# Upload
hf_repo=
upload_args=

help_message="Usage: codec.sh --train_set NAME --valid_set NAME --test_sets 'NAMES' --train_config FILE [options]

Stages: 1 data preparation, 2 format wav.scp, 3 drop too short and too long utterances,
4 collect stats, 5 train, 6 decode, 7 score, 8 pack, 9 upload. Finished work is not done again.

General
  --stage, --stop_stage   first and last stage                        (default: ${stage}, ${stop_stage})
  --skip_data_prep        leave out stages 1 to 3                     (default: ${skip_data_prep})
  --skip_train            leave out stages 4 and 5                    (default: ${skip_train})
  --skip_eval             leave out stages 6 and 7                    (default: ${skip_eval})
  --skip_packing          leave out stage 8                           (default: ${skip_packing})
  --skip_upload           leave out stage 9                           (default: ${skip_upload})
  --ngpu                  GPUs a node; 0 trains on the CPU            (default: 1 where there is one)
  --num_nodes             nodes to train on                           (default: ${num_nodes})
  --nj                    jobs of data preparation                    (default: number of CPUs, 32 with slurm)
  --inference_nj          jobs of decoding and scoring                (default: that of --nj)
  --gpu_inference         decode on GPUs                              (default: ${gpu_inference})
  --dumpdir, --expdir     where features and experiments go           (default: ${dumpdir}, ${expdir})
Data
  --local_data_opts       options of local/data.sh
  --train_set, --valid_set, --test_sets       names of folders in data/
  --fs                    sampling rate; the recipe is for this one   (default: ${fs})
  --min_wav_duration, --max_wav_duration      seconds, not for tests  (default: ${min_wav_duration}, ${max_wav_duration})
Training
  --train_config          a file of conf/
  --train_args            options for gan_codec_train, e.g. '--max_epoch 20'
  --pretrained_model      weights to begin with: a packaged tag, checkpoint, folder or hub name
  --tag                   suffix of the experiment's folder           (default: from config and --train_args)
  --codec_exp             the experiment's folder                     (default: EXPDIR/codec_TAG)
  --codec_stats_dir       folder of the statistics                    (default: EXPDIR/codec_stats_raw_fs${fs})
Decoding and scoring
  --inference_config      a file of conf/
  --inference_args        options for gan_codec_inference, e.g. '--target_bandwidth 3.0'
  --inference_tag         folder of what is decoded                   (default: from config, options and model)
  --inference_model       checkpoint in the experiment's folder       (default: that of a release, else the best epoch's, valid.*_loss.best.pth)
  --download_model        decode with this model, named as for --pretrained_model; no training
  --scoring_args          options for gan_codec_score
Upload
  --hf_repo               Hugging Face repository, e.g. my-name/my-codec
  --upload_args           options for 'bscodec upload', e.g. --license cc-by-4.0"

. utils/parse_options.sh
. utils/common.sh
. ./path.sh
. ./cmd.sh
. scripts/stages_data.sh
. scripts/stages_train.sh
. scripts/stages_eval.sh

[ $# -eq 0 ] || die "$1: no such argument; --help lists the options"
[ -n "${train_set}" ] && [ -n "${valid_set}" ] || die "--train_set and --valid_set are needed"
[ -n "${test_sets}" ] || die "--test_sets is needed"
[ "${fs}" = 24000 ] || die "--fs ${fs}: the recipe formats to 24000 Hz only"
for name in stage stop_stage num_nodes; do
    [[ ${!name} =~ ^[1-9][0-9]*$ ]] || die "--${name} ${!name}: expected a whole number above 0"
done

# ---- Defaults that depend on other options -----------------------------------------------------

if [ -z "${nj}" ]; then
    if [ "${cmd_backend}" = slurm ]; then nj=32; else nj=$(available_cpus); fi
fi
inference_nj=${inference_nj:-${nj}}
for name in nj inference_nj; do
    [[ ${!name} =~ ^[1-9][0-9]*$ ]] || die "--${name} ${!name}: expected a whole number above 0"
done
if [ -z "${ngpu}" ]; then
    if nvidia-smi -L >/dev/null 2>&1; then ngpu=1; else ngpu=0; fi
fi
[[ ${ngpu} =~ ^[0-9]+$ ]] || die "--ngpu ${ngpu}: expected a number of GPUs"

# as_name OPTIONS: "--max_epoch 3" -> "_max_epoch3", to be part of a folder's name.
as_name() {
    local text=${1//--/_}
    text=${text//[ =]/}
    echo "${text//\//_}"
}

if [ -z "${tag}" ]; then
    tag=$(basename "${train_config:-train}" .yaml)
    tag=${tag#train_}$(as_name "${train_args}")
    if [ -n "${pretrained_model}" ]; then
        tag+=_from_$(basename "${pretrained_model}" .pth)
    fi
fi
codec_exp=${codec_exp:-${expdir}/codec_${tag}_raw_fs${fs}}
codec_stats_dir=${codec_stats_dir:-${expdir}/codec_stats_raw_fs${fs}}

if [ -n "${download_model}" ]; then
    use_downloaded
fi

# ---- Stages ------------------------------------------------------------------------------------

# run_stage NUMBER SKIP FUNCTION WHAT
run_stage() {
    if [ "${stage}" -gt "$1" ] || [ "${stop_stage}" -lt "$1" ]; then
        return
    fi
    if "$2"; then
        log "stage $1, $4: left out"
        return
    fi
    log "stage $1: $4"
    "$3"
}

run_stage 1 "${skip_data_prep}" prepare_data "data preparation"
run_stage 2 "${skip_data_prep}" format_sets "format wav.scp"
run_stage 3 "${skip_data_prep}" filter_sets "drop too short and too long utterances"
run_stage 4 "${skip_train}" collect_stats "collect stats"
run_stage 5 "${skip_train}" train_codec "train"
run_stage 6 "${skip_eval}" decode_sets "decode"
run_stage 7 "${skip_eval}" score_sets "score"
run_stage 8 "${skip_packing}" pack_model "pack"
run_stage 9 "${skip_upload}" upload_model "upload"
log "done"
