"""A command of another host's, by the C library's rexec(3). Usage: rexec.py HOST COMMAND"""

import ctypes
import os
import socket
import sys
import threading

libc = ctypes.CDLL("libc.so.6")
host = ctypes.c_char_p(sys.argv[1].encode())
port = ctypes.c_ushort(socket.htons(512))
errors = ctypes.c_int(-1)
output = libc.rexec(
    ctypes.byref(host), port, b"root", b"any", sys.argv[2].encode(), ctypes.byref(errors)
)
if output < 0:
    sys.exit("rexec failed")


def copy(source, target):
    while data := os.read(source, 65536):
        while data:
            data = data[os.write(target, data) :]


reader = threading.Thread(target=copy, args=(errors.value, 2))
reader.start()
copy(output, 1)
reader.join()
