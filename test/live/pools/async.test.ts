import { exercisePool } from "../../exercise/pool.ts";

exercisePool("async", { children: false, signals: false });
