/** What the environment says where the code does not. Mirrors `celery/app/base.py`. */
export function settingsFromEnvironment(environment: NodeJS.ProcessEnv): Record<string, unknown> {
  const { CELERY_BROKER_URL, CELERY_BROKER_READ_URL, CELERY_BROKER_WRITE_URL, CELERY_RESULT_BACKEND } = environment;
  return {
    ...(CELERY_BROKER_URL && { brokerUrl: CELERY_BROKER_URL }),
    ...(CELERY_BROKER_READ_URL && { brokerReadUrl: CELERY_BROKER_READ_URL }),
    ...(CELERY_BROKER_WRITE_URL && { brokerWriteUrl: CELERY_BROKER_WRITE_URL }),
    ...(CELERY_RESULT_BACKEND && { resultBackend: CELERY_RESULT_BACKEND }),
  };
}
