# shellcheck shell=bash
# To be sourced in the recipe's folder: which Python, and what every process here wants set.

if [ -x "${PWD}/../../../.venv/bin/python" ]; then # made by `make` at the top of the repository
    PATH="$(cd ../../../.venv/bin && pwd):${PATH}"
fi
PATH="${PWD}/utils:${PATH}"
export PATH

export LC_ALL=C          # one sorting order everywhere
export PYTHONUTF8=1      # whatever LC_ALL says
export PYTHONNOUSERSITE=1
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" # jobs run side by side
