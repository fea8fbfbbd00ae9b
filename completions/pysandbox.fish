# fish completion of pysandbox. Commands and options, with their descriptions, are asked of the
# command itself (--help), so that this file cannot fall behind it.

function __pysandbox_command
    set -l words (commandline -opc)
    test (count $words) -ge 2; and echo $words[2]
end

# "  NAME [ARGUMENT]   text" lines of a help, as NAME<tab>text.
function __pysandbox_described
    set -l program (commandline -opc)[1]
    $program $argv --help 2>/dev/null | string replace -rf '^  (-*[a-z][-a-z]*)( [A-Z]\S*)? +(.*)$' '$1\t$3'
end

function __pysandbox_words
    set -l words (commandline -opc)
    test (count $words) -eq 2; and $words[1] $words[2] --help 2>/dev/null |
        string replace -rf "^usage: pysandbox $words[2] ([a-z]+\|[a-z|]+).*" '$1' | string split '|'
end

# Does the last word wait for a value?
function __pysandbox_wants_value
    set -l words (commandline -opc)
    test (count $words) -ge 3; and string match -q -- '-*' $words[-1]
    and $words[1] $words[2] --help 2>/dev/null | string match -rq -- "^  $words[-1] [A-Z]"
end

function __pysandbox_values
    set -l words (commandline -opc)
    switch $words[-1]
        case --engine
            echo auto
            $words[1] engines --json 2>/dev/null | string match -ar '(?<="name":")[a-z]+'
        case --policy
            $words[1] policy show 2>/dev/null; or string split ' ' 'default data-science strict'
            __fish_complete_path (commandline -ct)
        case --on-output-limit
            string split ' ' 'kill truncate'
        case --phase
            string split ' ' 'latency throughput'
        case --require
            string split ' ' '1 2 3 4 5 6 7 8 9 10 memory cpu wall processes filesystem workspace network syscalls signals ipc privileges identity devices host_memory state_reset'
        case --python --input --file --output --audit --key
            __fish_complete_path (commandline -ct)
    end
end

complete -c pysandbox -n 'test -z (__pysandbox_command)' -f -a '(__pysandbox_described) --version'
complete -c pysandbox -n '__pysandbox_wants_value' -f -a '(__pysandbox_values)'
complete -c pysandbox -n 'test -n (__pysandbox_command); and not __pysandbox_wants_value; and string match -q -- "-*" (commandline -ct)' -f -a '(__pysandbox_described (__pysandbox_command))'
complete -c pysandbox -n 'test -n (__pysandbox_command); and not __pysandbox_wants_value' -a '(__pysandbox_words)'
