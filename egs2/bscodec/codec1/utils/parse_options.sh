# shellcheck shell=bash
# To be sourced: `--name value` or `--name=value` sets the shell variable `name`, which must have
# a default already; dashes in the name may stand for underscores. A variable whose default is
# true or false takes nothing else. `--help` prints ${help_message}. What comes after the last
# option stays in "$@". The same manner as in Kaldi's and ESPnet's recipes.

while [ $# -gt 0 ]; do
    case "$1" in
        --help | -h)
            printf '%s\n' "${help_message:-no help here}"
            exit 0
            ;;
        --)
            shift
            break
            ;;
        --*) ;;
        *) break ;;
    esac
    _option=${1#--}
    _name=${_option%%=*}
    _name=${_name//-/_}
    if ! [[ ${_name} =~ ^[a-z][a-z0-9_]*$ ]] || [ -z "${!_name+set}" ]; then
        echo "$0: no option --${_option%%=*}; --help lists them" >&2
        exit 2
    fi
    if [[ ${_option} == *=* ]]; then
        _value=${_option#*=}
        shift
    elif [ $# -lt 2 ]; then
        echo "$0: --${_name}: a value is expected after it" >&2
        exit 2
    else
        _value=$2
        shift 2
    fi
    if [[ ${!_name} =~ ^(true|false)$ && ! ${_value} =~ ^(true|false)$ ]]; then
        echo "$0: --${_name} ${_value}: expected true or false" >&2
        exit 2
    fi
    printf -v "${_name}" '%s' "${_value}"
done
unset _option _name _value
