# Completion of dfab for fish: source this file, or put it to ~/.config/fish/completions/dfab.fish
function __dfab_complete
    set -l words (commandline -opc)
    set -l program $words[1]
    set -e words[1]
    for line in (eval $program __complete fish (string escape -- $words (commandline -ct)) 2>/dev/null)
        switch $line
            case :nospace
            case :files
                __fish_complete_path (commandline -ct)
            case '*'
                echo $line
        end
    end
end
complete -c dfab -e
complete -c dfab -f -a '(__dfab_complete)'
