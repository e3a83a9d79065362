# shellcheck shell=bash disable=SC2154
# To be sourced after utils/common.sh by a script with the variables dumpdir and train_args: small
# trainings for comparisons, each once.

# train_part DIR SETTINGS CONFIG PART SEED OPTIONS...: train CONFIG with the part of codec_conf that
# is in the file PART, unless that has been done with these SETTINGS.
train_part() {
    local dir=$1 settings=$2 config=$3 part=$4 seed=$5 set
    shift 5
    local -a data=() more=()
    words more "${train_args}"
    for set in train_mix valid_small; do
        need "${dumpdir}/${set}/wav.scp" "the card of bscodec-mini has the commands that make it"
        data+=("--${set%_*}_data_path_and_name_and_type" "${dumpdir}/${set}/wav.scp,audio,sound")
        data+=("--${set%_*}_shape_file" "${dumpdir}/${set}/utt2num_samples")
    done
    begin "${dir}" "${settings} ${train_args}" "${config}" "${part}" \
        "${dumpdir}"/{train_mix,valid_small}/utt2num_samples || return 0
    clear_folder "${dir}"
    log "training $(basename "${part}" .yaml), seed ${seed}"
    python3 -m espnet2.bin.gan_codec_train --config "${config}" \
        --codec_conf "$(<"${part}")" --seed "${seed}" --ngpu 0 "${data[@]}" "$@" \
        --output_dir "${dir}" "${more[@]}" >"${dir}/console.log" 2>&1 ||
        die "training failed: see ${dir}/console.log"
    finish "${dir}"
}
