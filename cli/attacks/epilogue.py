"""Runs the steps from the one that the host wants to begin with."""
for index, (name, control, kind, function) in enumerate(steps):
    if index < W["from"]:
        continue
    say("@begin", index, name, control, kind)
    try:
        found = function()
    except OSError as problem:
        say("@held", errno.errorcode.get(problem.errno, problem))
    except Quiet as problem:
        say("@quiet", problem)
    except Absent as problem:
        say("@absent", problem)
    except BaseException as problem:
        say("@broken", type(problem).__name__, problem)
    else:
        say("@reached", found)
say("@end")
