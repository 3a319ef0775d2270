/** The names of the keys that the key-value backends use. Mirrors `celery/backends/base.py BaseKeyValueStoreBackend`. */
export interface ResultKeys {
  task(id: string): string;
  /** A saved group, and the base of its chord's keys, which end in `.j`, `.t`, `.s`, `.d` and `.c`. */
  group(id: string, suffix?: string): string;
  chord(id: string): string;
}

/**
 * @param globalKeyPrefix `global_keyprefix` of the backend's transport options; `_` is put between it and the key
 *   unless it ends in one of `:_-.`
 */
export function resultKeys(globalKeyPrefix = ""): ResultKeys {
  const prefix = globalKeyPrefix && !/[:_.-]$/.test(globalKeyPrefix) ? `${globalKeyPrefix}_` : globalKeyPrefix;
  return {
    task: (id) => `${prefix}celery-task-meta-${id}`,
    group: (id, suffix = "") => `${prefix}celery-taskset-meta-${id}${suffix}`,
    chord: (id) => `${prefix}chord-unlock-${id}`,
  };
}
