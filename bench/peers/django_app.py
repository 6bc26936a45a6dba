"""Django REST framework's CursorPagination and a serializer; for gunicorn."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import django
from django.conf import settings

from bench.peers import rows

_URL = urlsplit(rows.database())
_POSTGRES = {
    "ENGINE": "django.db.backends.postgresql",
    "NAME": _URL.path.removeprefix("/"),
    "USER": _URL.username,
    "HOST": dict(parse_qsl(_URL.query)).get("host", _URL.hostname),
    "CONN_MAX_AGE": None,
}
_SQLITE = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": rows.database(),
    "CONN_MAX_AGE": None,
    "OPTIONS": {"init_command": ";".join(rows.PRAGMAS)},
}

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF="bench.peers.django_app",
    SECRET_KEY="not one",
    USE_TZ=True,
    DATABASES={"default": _POSTGRES if _URL.scheme.startswith("postgres") else _SQLITE},
    INSTALLED_APPS=["rest_framework"],
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "DEFAULT_PERMISSION_CLASSES": [],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "UNAUTHENTICATED_USER": None,
    },
)
django.setup()

# What follows can only be imported once Django is set up.
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import models  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework.generics import ListAPIView  # noqa: E402
from rest_framework.pagination import CursorPagination  # noqa: E402
from rest_framework.serializers import ModelSerializer  # noqa: E402


class Video(models.Model):  # type: ignore[misc]
    id = models.TextField(primary_key=True)
    account_id = models.TextField()
    created = models.BigIntegerField()
    url = models.TextField()
    prompt = models.TextField()
    aspectRatio = models.TextField()  # noqa: N815
    createdDate = models.TextField()  # noqa: N815
    model = models.TextField()
    width = models.IntegerField()
    height = models.IntegerField()
    duration = models.TextField()
    previewImageUrl = models.TextField()  # noqa: N815
    thumbnailImageUrl = models.TextField()  # noqa: N815
    lastFrameImageUrl = models.TextField()  # noqa: N815

    class Meta:
        app_label = "bench"
        db_table = "videos"
        managed = False


class Item(ModelSerializer):  # type: ignore[misc]
    class Meta:
        model = Video
        fields = rows.FIELDS


class Newest(CursorPagination):  # type: ignore[misc]
    page_size = 100
    ordering = ("-created", "-id")


class Videos(ListAPIView):  # type: ignore[misc]
    serializer_class = Item
    pagination_class = Newest

    def get_queryset(self) -> Any:
        return Video.objects.filter(account_id=self.kwargs["account_id"])


urlpatterns = [path("videos/<account_id>", Videos.as_view())]
application = get_wsgi_application()
