# Completion of dfab for bash: source this file, or put it to
# ~/.local/share/bash-completion/completions/dfab
_dfab() {
    local line
    local -a lines
    COMPREPLY=()
    mapfile -t lines < <("${1/#\~/$HOME}" __complete bash "$COMP_WORDBREAKS" "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
    for line in "${lines[@]}"; do
        case $line in
        :files) compopt -o default 2>/dev/null ;;
        :nospace) compopt -o nospace 2>/dev/null ;;
        *) COMPREPLY+=("$line") ;;
        esac
    done
}
complete -F _dfab dfab
