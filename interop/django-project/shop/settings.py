"""A Django project whose tasks' results are shown by its admin. Told by the environment:

    DJANGO_DATABASE            the entry `default` of DATABASES, a JSON object
    CELERY_BROKER_URL          as Celery itself reads it
    CELERIAC_TASK_QUEUE        the queue that its workers work for
"""
import json
import os

SECRET_KEY = "for tests only"
ALLOWED_HOSTS = ["testserver"]
ROOT_URLCONF = "shop.urls"
DATABASES = {"default": json.loads(os.environ["DJANGO_DATABASE"])}
if DATABASES["default"]["ENGINE"].endswith(".mysql"):
    import pymysql

    # A driver without a compiler, in the place of mysqlclient.
    pymysql.install_as_MySQLdb()
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "Europe/Berlin"
STATIC_URL = "static/"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django_celery_results",
    "shop",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [{
    "BACKEND": "django.template.backends.django.DjangoTemplates",
    "APP_DIRS": True,
    "OPTIONS": {"context_processors": [
        "django.template.context_processors.request",
        "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages",
    ]},
}]

CELERY_BROKER_URL = os.environ.get("CELERY_BROKER_URL")
CELERY_RESULT_BACKEND = "django-db"
CELERY_RESULT_EXTENDED = True
CELERY_TASK_DEFAULT_QUEUE = os.environ.get("CELERIAC_TASK_QUEUE", "celery")
CELERY_WORKER_HIJACK_ROOT_LOGGER = True
