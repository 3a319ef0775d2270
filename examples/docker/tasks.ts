import { Celery } from "celeriac";

// The container's environment says where: CELERY_BROKER_URL and CELERY_RESULT_BACKEND.
export const app = new Celery("shop");

app.task("shop.greet", (name: string) => `Hello, ${name}!`);
