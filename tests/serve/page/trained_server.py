"""A small model, trained by fabula itself, and `fabula serve` with a model."""
import json
import socket
import subprocess
import time
import urllib.error
import urllib.request

from browser import PageError

CONFIG = {
    "model_type": "gpt2", "n_positions": 256, "n_embd": 64, "n_layer": 2, "n_head": 4,
    "embd_pdrop": 0, "attn_pdrop": 0, "resid_pdrop": 0,
    "head": {"kind": "grouped", "modulation": "per_group", "map": "clustered", "shortlist": 20, "group_size": 30},
    "train": {"batch_size": 8, "sequence_length": 64, "steps": 120, "learning_rate": 4e-3, "warmup_steps": 10,
              "eval_every": 120, "eval_batches": 2, "sample_every": 120, "sample_tokens": 8, "save_every": 120,
              "log_every": 60},
}


def train_model(program, folder):
    """A run folder of a grouped model that has seen some hundred built-in stories."""
    def fabula(*args):
        subprocess.run([program, *args], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    path = lambda name: str(folder / name)
    fabula("corpus", "--seed", "3", "--stories", "400", "--out", path("stories.txt"))
    fabula("corpus", "--seed", "4", "--stories", "20", "--out", path("valid.txt"))
    fabula("tokenizer", "train", path("stories.txt"), "--vocab-size", "400", "--out", path("tokenizer.json"))
    for name in ("stories", "valid"):
        fabula("data", "prepare", path(name + ".txt"), "--tokenizer", path("tokenizer.json"), "--out",
               path(name + ".tokens"))
    (folder / "config.json").write_text(json.dumps(CONFIG))
    fabula("train", path("config.json"), "--data", path("stories.tokens"), "--valid", path("valid.tokens"),
           "--tokenizer", path("tokenizer.json"), "--out", path("little"))
    return folder / "little"


class Server:
    """`fabula serve` on a port of its own, which it gets again when it is started again."""

    def __init__(self, program, run, folder):
        self.command = [program, "serve", str(run)]
        self.log = folder / "server.log"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = None

    @property
    def address(self):
        return f"http://127.0.0.1:{self.port}/"

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([*self.command, "--port", str(self.port)], stdout=log, stderr=log)
        deadline = time.monotonic() + 120
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise PageError("the server did not start:\n" + self.log.read_text())
            time.sleep(0.05)

    def ready(self):
        try:
            with urllib.request.urlopen(self.address + "health", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def stop(self, kill=False):
        if self.process and self.process.poll() is None:
            self.process.kill() if kill else self.process.terminate()
            self.process.wait(60)
