# shellcheck shell=bash disable=SC2154,SC2034
# Stages 6 to 9, sourced by codec.sh: decode, score, pack, upload.

# model_name: the experiment's folder without what all of them share.
model_name() {
    local name
    name=$(basename "${codec_exp}")
    name=${name#codec_}
    echo "${name%_raw_fs*}"
}

# use_downloaded: --download_model, put where the stages look for a model.
use_downloaded() {
    codec_exp=$(python3 local/fetch_model.py "${download_model}" "${expdir}" | tail -n 1)
    log "--download_model ${download_model}: ${codec_exp}; stages 4 and 5 are left out"
    skip_train=true
}

# find_model: sets model_file, and inference_tag unless it was given.
find_model() {
    local name
    need "${codec_exp}/config.yaml" "train the model, or put its release there"
    if [ -z "${inference_model}" ]; then
        # as released, else the best epoch by the loss it was judged by; the last name is for "need"
        for name in "$(model_name).pth" valid.{mel,spectral,mel}_loss.best.pth; do
            [ ! -e "${codec_exp}/${name}" ] || break
        done
        inference_model=${name}
    fi
    model_file=${codec_exp}/${inference_model}
    need "${model_file}" "--inference_model names another one"
    if [ -z "${inference_tag}" ]; then
        name=$(basename "${inference_config:-decode}" .yaml)$(as_name "${inference_args}")
        inference_tag=${name}_$(basename "${inference_model}" .pth)
    fi
}

decode_sets() {
    local dset model_checked=false
    find_model
    if grep -sqiE '(^|--)encode_only[ :=]+true' "${inference_config:-/dev/null}" - <<<"${inference_args}"; then
        die "encode_only: stage 6 makes audio and codes; codes alone come from" \
            "'bscodec encode --model ${codec_exp}'"
    fi
    for dset in ${test_sets}; do
        decode_set "${dumpdir}/raw/${dset}" "${codec_exp}/${inference_tag}/${dset}"
    done
}

decode_set() {
    local in=$1 out=$2 n left command=${decode_cmd} ngpu_inference=0
    local -a arguments options=() inputs=("$1/wav.scp" "${codec_exp}/config.yaml" "${model_file}")
    need "${in}/wav.scp" "stage 2 makes it, or a release"
    words arguments "${inference_args}"
    if [ -n "${inference_config}" ]; then
        need "${inference_config}" "conf/ holds the configs"
        options=(--config "${inference_config}")
        inputs+=("${inference_config}")
    fi
    if ! begin "${out}" "${inference_args}" "${inputs[@]}"; then
        log "${out} is decoded already"
        return
    fi
    if ${inputs_changed}; then # by another model, or from other audio
        clear_folder "${out}"
    fi
    python3 local/check_audio.py --config "${codec_exp}/config.yaml" "${in}/wav.scp" "${out}"
    python3 local/collect_decoded.py "${out}" # what an interrupted run has left
    left=$(count_lines "${out}/pending")
    if [ "${left}" -gt 0 ]; then
        n=$(at_most "${inference_nj}" "${left}")
        if ! ${model_checked}; then
            python3 local/check_model.py "${codec_exp}/config.yaml" "${model_file}"
            model_checked=true
        fi
        rm -rf "${out}/log"
        split_list "${out}/pending" "${n}" "${out}/log/keys." .scp
        if ${gpu_inference}; then
            command="${cuda_cmd} --gpu 1"
            ngpu_inference=1
        fi
        # shellcheck disable=SC2086
        ${command} JOB="1:${n}" "${out}/log/decode.JOB.log" \
            python3 -m espnet2.bin.gan_codec_inference "${options[@]}" --ngpu "${ngpu_inference}" \
            --data_path_and_name_and_type "${out}/log/keys.JOB.scp,audio,sound" \
            --train_config "${codec_exp}/config.yaml" --model_file "${model_file}" \
            --output_dir "${out}/log/output.JOB" "${arguments[@]}"
        python3 local/collect_decoded.py "${out}"
        left=$(count_lines "${out}/pending")
        [ "${left}" -eq 0 ] || die "${out}/pending: ${left} utterances have no audio and codes of" \
            "the input's length; see ${out}/log"
    fi
    rm -rf "${out}"/log/output.*
    finish "${out}"
}

# domain_of SET: by its name.
domain_of() {
    case $1 in
        *speech*) echo speech ;;
        *sound* | *audio*) echo sound ;;
        *music*) echo music ;;
        *) echo auto ;;
    esac
}

score_sets() {
    local dset dir domain table system
    local -a arguments scored=() place=(--nj "${inference_nj}")
    find_model
    if [ "${cmd_backend}" = dask ]; then
        place=(--cluster "${dask_cluster}")
    fi
    table=${codec_exp}/${inference_tag}/scores
    system="$(model_name) ${inference_tag%"_$(model_name)"}"
    words arguments "${scoring_args}"
    for dset in ${test_sets}; do
        dir=${codec_exp}/${inference_tag}/${dset}
        need "${dir}/.done" "stage 6 makes it"
        domain=$(domain_of "${dset}")
        if begin "${dir}/scores" "${domain} ${scoring_args}" "${dir}/.inputs" \
            "${dir}/ref.scp" "${dir}/wav.scp"; then
            if ${inputs_changed}; then
                clear_folder "${dir}/scores"
            fi
            # shellcheck disable=SC2086
            ${decode_cmd} --num_threads "${inference_nj}" "${dir}/scores/score.log" \
                python3 -m espnet2.bin.gan_codec_score --ref "${dir}/ref.scp" \
                --hyp "${system}=${dir}/wav.scp" --codes "${system}=${dir}/codec.scp" \
                --domain "${domain}" --outdir "${dir}/scores" "${place[@]}" \
                "${arguments[@]}"
            finish "${dir}/scores"
        else
            log "${dir}/scores is complete already"
        fi
        scored+=("${dir}/scores")
    done
    rm -rf "${table}"
    if python3 -m espnet2.bin.bscodec score --merge "${scored[@]}" --outdir "${table}" --no-report; then
        log "the table is in ${table}/summary.md; more in ${codec_exp}/${inference_tag}/*/scores"
    else # sets that share utterances
        log "WARNING: no table of all test sets; each has its own, ${codec_exp}/${inference_tag}/*/scores"
    fi
}

# packed_file: where stage 8 puts the archive and stage 9 finds it.
packed_file() {
    echo "${codec_exp}/$(basename "${codec_exp}")_$(basename "${inference_model}" .pth).zip"
}

pack_model() {
    local archive picture
    local -a options=()
    find_model
    archive=$(packed_file)
    if [ -e "${codec_exp}/${inference_tag}/scores/summary.md" ]; then
        options+=(--option "${codec_exp}/${inference_tag}/scores/summary.md")
    fi
    for picture in "${codec_exp}"/images/*.png; do # curves; the samples below are many
        [ ! -e "${picture}" ] || options+=(--option "${picture}")
    done
    # shellcheck disable=SC2086
    ${train_cmd} "${codec_exp}/pack.log" \
        python3 -m espnet2.bin.pack codec --train_config "${codec_exp}/config.yaml" \
        --model_file "${model_file}" "${options[@]}" --outpath "${archive}.part.zip"
    mv "${archive}.part.zip" "${archive}"
    log "packed: ${archive}"
}

upload_model() {
    local scores
    local -a arguments
    find_model
    scores=${codec_exp}/${inference_tag}/scores/summary.json
    words arguments "${upload_args}"
    [ ! -e "${scores}" ] || arguments+=(--scores "${scores}")
    [ -n "${hf_repo}" ] || die "--hf_repo is needed, e.g. my-name/my-codec"
    need "$(packed_file)" "stage 8 makes it (--skip_packing false)"
    python3 local/upload_model.py "$(packed_file)" "${hf_repo}" "${arguments[@]}"
}
