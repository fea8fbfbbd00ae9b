# bash completion of pysandbox. Commands, their words and their options are asked of the command
# itself (--help), so that this file cannot fall behind it.

_pysandbox_options()
{
	"$1" "$2" --help 2>/dev/null | sed -n 's/^  \(-[-a-z]*\).*/\1/p'
}

# "policy show|check" in a usage line: the words after the command.
_pysandbox_words()
{
	"$1" "$2" --help 2>/dev/null | sed -n "s/^usage: pysandbox $2 \([a-z]*|[a-z|]*\).*/\1/p" | tr '|' ' '
}

# What the option takes: prints candidates; fails when a file name is welcome.
_pysandbox_values()
{
	case $2 in
	--engine) echo auto; "$1" engines --json 2>/dev/null | grep -o '"name":"[a-z]*"' | cut -d'"' -f4 ;;
	--policy) "$1" policy show 2>/dev/null || echo default data-science strict; return 1 ;;
	--on-output-limit) echo kill truncate ;;
	--phase) echo latency throughput ;;
	--require) echo 1 2 3 4 5 6 7 8 9 10 memory cpu wall processes filesystem workspace network \
		syscalls signals ipc privileges identity devices host_memory state_reset ;;
	--python | --input | --file | --output | --audit | --key) return 1 ;;
	-*) ;; # a number, a text: nothing to offer
	esac
}

_pysandbox_takes_value()
{
	"$1" "$2" --help 2>/dev/null | grep -q -- "^  $3 [A-Z]"
}

_pysandbox()
{
	local program=${COMP_WORDS[0]} word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]}
	local before=${COMP_WORDS[COMP_CWORD - 1]} values

	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		values=$("$program" --help 2>/dev/null | sed -n 's/^  \([a-z]*\) .*/\1/p')
		COMPREPLY=($(compgen -W "$values --help --version" -- "$word"))
		return
	fi
	# bash takes --engine=NAME apart at the equals sign.
	if [[ $word == = ]]; then
		word=
	elif [[ $before == = ]]; then
		before=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	if [[ $before == -* ]] && _pysandbox_takes_value "$program" "$command" "$before"; then
		values=$(_pysandbox_values "$program" "$before")
		(($? == 0)) || compopt -o default
		COMPREPLY=($(compgen -W "$values" -- "$word"))
	elif [[ $word == -* ]]; then
		COMPREPLY=($(compgen -W "$(_pysandbox_options "$program" "$command")" -- "$word"))
	else
		((COMP_CWORD > 2)) || COMPREPLY=($(compgen -W "$(_pysandbox_words "$program" "$command")" -- "$word"))
		compopt -o default
	fi
}

complete -F _pysandbox pysandbox
