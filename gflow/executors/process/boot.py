"""The program of a child: it looks for modules where its parent does, and goes on in gflow.

Called with the name of the body, the number of the socket, and the parent's `sys.path`.
"""

import sys

if __name__ == "__main__":
    descriptor = int(sys.argv[2])
    sys.path[:] = sys.argv[3:]  # only now gflow can surely be imported
    del sys.argv[1:]

    from gflow.executors.process.child import main

    main(descriptor)
