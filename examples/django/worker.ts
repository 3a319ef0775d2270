import { Celery } from "celeriac";
import { djangoSettings } from "./django-settings.ts";

export const app = new Celery("shop", djangoSettings("celery.json"));

/** `Ein Tag im März` as `ein-tag-im-marz`. */
export const slug = app.task("shop.slug", (title: string) => {
  const letters = title.normalize("NFKD").replaceAll(/\p{Mark}/gu, "");
  return letters
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-|-$/g, "");
});

/** A task that Python serves. */
export const add = app.remote<[x: number, y: number], number>("shop.add");
