import { exercisePool } from "../../exercise/pool.ts";

exercisePool("solo", { children: false, signals: false });
