# shellcheck shell=bash disable=SC2154
# Stages 1 to 3, sourced by codec.sh: from corpora to dump/raw/<set>.

prepare_data() {
    local -a options
    words options "${local_data_opts}"
    if ! begin data "${local_data_opts}" local/data.sh; then
        log "data/ is prepared already"
        return
    fi
    local dset
    for dset in ${train_set} ${valid_set} ${test_sets}; do
        rm -rf "data/${dset}" # of other options, or half done
    done
    local/data.sh "${options[@]}"
    finish data
}

# org_dir SET: where stage 2 puts a set; those of training are filtered from there.
org_dir() {
    case $1 in
        "${train_set}" | "${valid_set}") echo "${dumpdir}/raw/org/$1" ;;
        *) echo "${dumpdir}/raw/$1" ;;
    esac
}

format_sets() {
    local dset
    for dset in ${train_set} ${valid_set} ${test_sets}; do
        format_set "data/${dset}" "$(org_dir "${dset}")"
    done
}

format_set() {
    local data=$1 out=$2 list=$1/wav.scp n job
    local -a options=(--wav_scp "$1/wav.scp" --audio "$2/audio") inputs=("$1/wav.scp") parts=()
    need "${data}/wav.scp" "stage 1 makes it"
    if [ -e "${data}/segments" ]; then
        list=${data}/segments
        options+=(--segments "${list}")
        inputs+=("${list}")
    fi
    [ -s "${list}" ] || die "${list}: it is empty"
    if ! begin "${out}" "fs=${fs} flac" "${inputs[@]}"; then
        log "${out} is formatted already"
        return
    fi
    n=$(at_most "${nj}" "$(count_lines "${list}")")
    rm -rf "${out}/split"
    split_list "${list}" "${n}" "${out}/split/keys." ""
    # shellcheck disable=SC2086
    ${train_cmd} JOB="1:${n}" "${out}/log/format.JOB.log" \
        python3 local/format_wav_scp.py "${options[@]}" "${out}/split/keys.JOB" "${out}/split/JOB"
    for ((job = 1; job <= n; job++)); do
        parts+=("${out}/split/${job}")
    done
    python3 local/merge_format.py --data "${data}" --out "${out}" "${parts[@]}"
    rm -rf "${out}/split"
    finish "${out}"
}

filter_sets() {
    local dset source out
    for dset in ${train_set} ${valid_set}; do
        source=$(org_dir "${dset}")
        out=${dumpdir}/raw/${dset}
        need "${source}/wav.scp" "stage 2 makes it"
        need "${source}/.done" "stage 2 was cut off there; run it again"
        if ! begin "${out}" "${min_wav_duration} to ${max_wav_duration} s" \
            "${source}/wav.scp" "${source}/utt2num_samples"; then
            log "${out} is filtered already"
            continue
        fi
        python3 local/filter_length.py "${source}" "${out}" \
            --min_seconds "${min_wav_duration}" --max_seconds "${max_wav_duration}"
        finish "${out}"
    done
}
