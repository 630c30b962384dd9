package main

import "github.com/alecthomas/kingpin/v2"

// The scripts differ from kingpin's in one thing: they also complete the value in --flag=value. Bash splits such a word in three.
const (
	bashCompletion = `
_{{.App.Name}}_bash_autocomplete() {
    local word cur="${COMP_WORDS[COMP_CWORD]}" words=()
    for word in "${COMP_WORDS[@]:1:$COMP_CWORD}"; do
        [[ $word != = ]] && words+=("$word")
    done
    if [[ $cur == = ]]; then
        cur=
        words+=("")
    fi
    COMPREPLY=( $(compgen -W "$( "${COMP_WORDS[0]}" --completion-bash "${words[@]}" )" -- "$cur") )
}
complete -F _{{.App.Name}}_bash_autocomplete -o default {{.App.Name}}
`
	zshCompletion = `#compdef {{.App.Name}}

_{{.App.Name}}() {
    local -a args matches
    args=("${(@)words[2,$CURRENT]}")
    if [[ ${args[-1]} == --*=* ]]; then
        args=("${(@)args[1,-2]}" "${args[-1]%%=*}" "${args[-1]#*=}")
        compset -P '*='
    fi
    matches=($("${words[1]}" --completion-bash "${args[@]}"))
    compadd -a matches

    if [[ $compstate[nmatches] -eq 0 && $PREFIX != -* ]]; then
        _files
    fi
}

if [[ "$(basename -- ${(%):-%x})" != "_{{.App.Name}}" ]]; then
    compdef _{{.App.Name}} {{.App.Name}}
fi
`
)

// addCompletion sets the scripts that --completion-script-bash and --completion-script-zsh print.
func addCompletion() {
	kingpin.BashCompletionTemplate, kingpin.ZshCompletionTemplate = bashCompletion, zshCompletion
}
