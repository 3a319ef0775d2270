"""The Python side: started with `celery -A tasks worker`."""
import time

from celery import Celery

app = Celery("shop")


@app.task(name="shop.charge")
def charge(order, *, cents, seconds=0):
    time.sleep(seconds)
    if cents <= 0:
        raise ValueError(f"order {order} costs nothing")
    return {"order": order, "charged": f"{cents / 100:.2f}"}
