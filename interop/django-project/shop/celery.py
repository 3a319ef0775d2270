"""The Celery application of the project, as Celery's documentation has it for Django."""
import json
import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")

app = Celery("shop")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(json.loads(os.environ.get("CELERIAC_SETTINGS", "{}")))
app.autodiscover_tasks()
