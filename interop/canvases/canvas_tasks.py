"""The one task that random canvases are made of, as Python serves it."""
from tasks import app


def shown(value):
    return f"[{','.join(map(shown, value))}]" if isinstance(value, list) else value


@app.task(name="canvas.step", bind=True)
def step(self, *given, canvas, tag, does):
    if does == "retry" and self.request.retries == 0:
        raise self.retry(countdown=0)
    self.app.backend.client.hincrby(f"ran-{canvas}", tag, 1)
    if does == "fail":
        raise ValueError(tag)
    return f"{tag}({','.join(map(shown, given))})"
