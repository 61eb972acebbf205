"""python triton_server.py VERSION_FOLDER PORT: Triton's own server, HTTP front and batcher, with a Python model.

All of it comes with the package `nvidia-pytriton`. PyTriton's proxy is not used: it does a third as many requests.
The model is triton_model.py. This process becomes the server.
"""

import os
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path

import pytriton

CONFIG = """
name: "peer"
backend: "python"
max_batch_size: 32
input { name: "image" data_type: TYPE_STRING dims: [1] }
output { name: "answer" data_type: TYPE_STRING dims: [1] }
dynamic_batching { max_queue_delay_microseconds: 1000 }
instance_group { kind: KIND_CPU count: 1 }
"""


def main(port: int) -> None:
    home = Path(pytriton.__file__).parent / "tritonserver"
    # One place, laid out anew at each start: this process becomes another, so nobody would remove one of its own.
    work = Path(tempfile.gettempdir()) / f"triton-peer-{os.getuid()}"
    shutil.rmtree(work, ignore_errors=True)
    model, backends = work / "models" / "peer", work / "backends"
    (model / "1").mkdir(parents=True)
    (model / "config.pbtxt").write_text(CONFIG)
    shutil.copy(Path(__file__).with_name("triton_model.py"), model / "1" / "model.py")
    shutil.copytree(home / "backends" / "python", backends / "python")
    stub = home / "python_backend_stubs" / f"3.{sys.version_info.minor}" / "triton_python_backend_stub"
    shutil.copy(stub, backends / "python")
    # The model's interpreter is embedded: it is told where the packages of this one are.
    packages = sysconfig.get_paths()["purelib"]
    # So do the libraries of the stub, which looks for them beside the place that it was copied from.
    bundled = home.parents[1] / "nvidia_pytriton.libs"
    libraries = f"{bundled}:{sys.base_prefix}/lib:{os.environ.get('LD_LIBRARY_PATH', '')}"
    server = str(home / "bin" / "tritonserver")
    ports = [f"--{kind}-port={port + number}" for number, kind in enumerate(("http", "grpc", "metrics"))]
    os.execve(
        server,
        [server, f"--model-repository={work / 'models'}", f"--backend-directory={backends}", *ports],
        os.environ | {"LD_LIBRARY_PATH": libraries, "PEER_PATHS": f"{Path(__file__).parent}:{packages}"},
    )


if __name__ == "__main__":
    main(int(sys.argv[2]))
