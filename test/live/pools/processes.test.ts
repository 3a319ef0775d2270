import { exercisePool } from "../../exercise/pool.ts";

exercisePool("processes", { children: true, signals: true });
