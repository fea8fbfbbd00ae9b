"""Import lists, judged by who asks: the program and the modules of its workspace, not the modules
that an allowed module imports for itself. Advice to honest programs; the kernel's wall holds
without it. The look at every import is in C (guard.c); here only names that the lists speak of."""
import builtins

# Given: psb and a copy of posix.
MAX_DENIED = 64


def covered(entries, name):
    """Is name an entry or beneath one?"""
    while name:
        if name in entries:
            return True
        name = name.rpartition('.')[0]
    return False


def asked_by_program(program, space, folder):
    if space is None:
        return False
    main = program.main
    if main is not None and space is main.__dict__:
        return True
    file = space.get('__file__')
    if type(file) is str:
        return file == program.filename or file.startswith(folder)
    return space.get('__spec__') is None


def in_workspace(folder, name):
    top = folder + name.partition('.')[0]
    return posix.access(top, 0) or posix.access(top + '.py', 0)


# What the request says; set by install(), read when a listed name is imported.
program = None
entries = frozenset()
names = ()
deny = True
policy = 'default'


def refused(name, fromlist):
    if deny:
        if covered(entries, name):
            return name
        for item in fromlist or ():
            if type(item) is str and f'{name}.{item}' in entries:
                return f'{name}.{item}'
        return None
    if covered(entries, name) or in_workspace(folder(), name):
        return None
    if any(entry.startswith(name + '.') for entry in entries):
        return None
    return name


def folder():
    return program.cwd.rstrip('/') + '/'


def decide(name, fromlist, space):
    """The text of a refusal, or None. Called by guard.c for names that the list speaks of."""
    global entries
    if program is None or not asked_by_program(program, space, folder()):
        return None
    if not entries:
        entries = frozenset(names)
    found = refused(name, fromlist)
    if found is None:
        return None
    if found not in program.denied and len(program.denied) < MAX_DENIED:
        program.denied.append(found[:256])
    how = 'deny list' if deny else 'not on the allow list'
    return f'import of {found!r} is refused by policy {policy!r} ({how})'


def install(asking, imports):
    """Judges for `asking` from now on, as the request says; also in place of what is installed."""
    global program, entries, names, deny, policy
    program = asking
    entries = frozenset()
    names = imports.get('names') or ()
    deny = imports.get('mode') == 'deny'
    policy = imports.get('policy') or 'default'
    if imports.get('mode', 'off') == 'off':
        psb.unguard(builtins)
    else:
        psb.guard(builtins, names, int(deny), decide)


def expect(text):
    """The list that requests are expected to bring, installed before there is one. A request with
    the same says `true`; any other list takes its place."""
    install(None, psb.expect(text.encode()))


def judge_for(asking):
    global program
    program = asking
