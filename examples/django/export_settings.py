"""Prints a Django project's Celery settings as JSON, for workers in other languages.

    DJANGO_SETTINGS_MODULE=shop.settings python export_settings.py [NAMESPACE] > celery.json
"""
import json
import os
import sys

from django.conf import settings

namespace = sys.argv[1] if len(sys.argv) > 1 else "CELERY"
sys.path.insert(0, os.getcwd())

exported = {name: getattr(settings, name) for name in dir(settings) if name.startswith(namespace + "_")}
if exported.get(namespace + "_RESULT_BACKEND") == "django-db":
    default = settings.DATABASES["default"]
    exported["DATABASE"] = {name: default.get(name, "") for name in ("ENGINE", "NAME", "USER", "PASSWORD", "HOST", "PORT")}
# Times are seconds in both languages; paths are text.
json.dump(exported, sys.stdout, default=lambda value: value.total_seconds() if hasattr(value, "total_seconds") else str(value), indent=2)
