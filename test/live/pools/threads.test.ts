import { exercisePool } from "../../exercise/pool.ts";

exercisePool("threads", { children: true, signals: false });
