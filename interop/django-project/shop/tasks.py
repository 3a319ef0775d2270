"""What the workers of the project serve."""
from celery import shared_task


class OutOfStock(Exception):
    """An error of our own, with more than one argument."""


@shared_task(name="shop.add")
def add(x, y):
    return x + y


@shared_task(name="shop.tsum")
def tsum(numbers):
    return sum(numbers)


@shared_task(name="shop.out_of_stock")
def out_of_stock(item, left):
    raise OutOfStock(item, left)


@shared_task(name="shop.flaky", bind=True)
def flaky(self):
    raise self.retry(exc=ValueError("not yet"), countdown=3600)
