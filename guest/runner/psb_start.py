# Entry of the inner runner: python -I -S psb_start.py PRELOADS SINGLE ["machine"] [IMPORTS], the last
# the import list that requests are expected to bring. An interpreter compiles its script anew each
# time, so this one is short; psb_boot.py goes on.
import sys
import _frozen_importlib_external as external
sys.dont_write_bytecode = True
folder = __file__.rpartition('/')[0] or '.'
boot = external.SourceFileLoader('psb_boot', folder + '/psb_boot.py').get_code('psb_boot')
runner = {'__builtins__': dict(__builtins__.__dict__), 'folder': folder}
exec(boot, runner)
# The program runs as the interpreter's last act, in its hook for an uncaught exception: so no frame
# of ours is below the program's, and a walk down the stack ends where it does outside.
sys.excepthook = runner['run']
raise SystemError
