import { Float } from "../../../protocol/python/numbers.ts";
import type { Settings } from "../../app/settings.ts";
import { hiddenIn } from "../../app/settings-table.ts";
import type { PanelContext } from "../panel-context.ts";

/** What `stats` answers. Mirrors `celery/worker/worker.py stats` and the `info` of its parts. */
export function stats(context: PanelContext): Record<string, unknown> {
  const { state, clock, uptime, autoscaler, consumer, broker, settings } = context;
  return {
    total: Object.fromEntries(state.total),
    pid: process.pid,
    clock: String(clock.value),
    uptime,
    pool: poolInfo(context, broker.transport),
    ...(autoscaler && { autoscaler: autoscaler.info() }),
    broker: brokerInfo(broker.url, broker.transport, settings),
    prefetch_count: consumer.prefetch,
    rusage: resourceUsage(),
  };
}

/** Mirrors `celery/concurrency/prefork.py _get_info`, which monitors know best. */
function poolInfo({ pool, settings, state }: PanelContext, transport: string): Record<string, unknown> {
  const { taskSoftTimeLimit, taskTimeLimit } = settings;
  return {
    implementation: `celeriac:${pool.name}`,
    "max-concurrency": pool.limit,
    processes: [...pool.pids],
    "max-tasks-per-child": settings.workerMaxTasksPerChild ?? "N/A",
    "put-guarded-by-semaphore": false,
    timeouts: [taskSoftTimeLimit ?? 0, taskTimeLimit ?? 0],
    writes: transport === "filesystem" ? "N/A" : writes(state.processed, pool.active),
  };
}

/** How tasks were spread over the processes, which there is one of to tell of. */
function writes(processed: number, active: number): Record<string, unknown> {
  return {
    total: processed,
    avg: "1.00",
    all: "1.00",
    raw: String(processed),
    strategy: "fair",
    inqueues: { total: 1, active: Math.min(1, active) },
  };
}

/** Mirrors `kombu/connection.py Connection.info`, without the password. @param url masked */
function brokerInfo(url: string, transport: string, settings: Settings): Record<string, unknown> {
  const [first = "", ...alternates] = url.split(";");
  const [, scheme = "", userinfo, host = "", path = ""] =
    /^([^:/]+):\/\/(?:(.*)@)?([^/?]*)\/?([^?]*)/.exec(first) ?? [];
  const [, name = host, port] = /^(.*?):(\d+)$/.exec(host) ?? [];
  const virtualHost = transport === "redis" ? path || "0" : path === "" ? "/" : decoded(path);
  return {
    hostname: name || null,
    userid: userinfo?.split(":")[0] || null,
    virtual_host: virtualHost,
    port: port === undefined ? null : Number(port),
    insist: false,
    ssl: Boolean(settings.brokerUseSsl) || /^(?:rediss|amqps)/.test(scheme),
    transport: scheme || transport,
    connect_timeout: settings.brokerConnectionTimeout,
    transport_options: hiddenIn(settings.brokerTransportOptions),
    login_method: settings.brokerLoginMethod,
    uri_prefix: null,
    heartbeat: transport === "filesystem" ? 0 : new Float(settings.brokerHeartbeat),
    failover_strategy: settings.brokerFailoverStrategy,
    alternates,
    credential_provider: null,
  };
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** Under the names of getrusage(2); times in seconds, `maxrss` in KiB. */
function resourceUsage(): Record<string, number> {
  const usage = process.resourceUsage();
  return {
    utime: usage.userCPUTime / 1e6,
    stime: usage.systemCPUTime / 1e6,
    maxrss: usage.maxRSS,
    ixrss: usage.sharedMemorySize,
    idrss: usage.unsharedDataSize,
    isrss: usage.unsharedStackSize,
    minflt: usage.minorPageFault,
    majflt: usage.majorPageFault,
    nswap: usage.swappedOut,
    inblock: usage.fsRead,
    oublock: usage.fsWrite,
    msgsnd: usage.ipcSent,
    msgrcv: usage.ipcReceived,
    nsignals: usage.signalsCount,
    nvcsw: usage.voluntaryContextSwitches,
    nivcsw: usage.involuntaryContextSwitches,
  };
}
