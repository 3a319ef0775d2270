"""The Python half of the demo: an ordinary Celery application that knows nothing of celeriac."""
import os

from celery import Celery

folder = os.environ["DEMO_FOLDER"]
app = Celery("python_tasks", broker="filesystem://", backend=f"file://{folder}/results")
app.conf.update(
    task_default_queue="python",
    broker_transport_options={
        "data_folder_in": f"{folder}/queue",
        "data_folder_out": f"{folder}/queue",
        "control_folder": f"{folder}/control",
        # Celery looks into the folder once a second unless told otherwise.
        "polling_interval": 0.05,
    },
)


@app.task(name="python.add")
def add(x, y):
    return x + y


@app.task(name="python.divide")
def divide(x, y):
    return x / y
