import { authSerializer } from "../../protocol/serialization/auth.ts";
import type { SerializerRegistry } from "../../protocol/serialization/registry.ts";
import type { Serializer } from "../../protocol/serialization/serializer.ts";
import { signingWith } from "../security/security.ts";
import { ImproperlyConfigured } from "./errors.ts";
import type { Settings } from "./settings.ts";

/**
 * The serializer `auth`, when the settings tell where certificates are. With a store alone it verifies; it signs with
 * a key and its certificate. Mirrors `celery/security/__init__.py setup_security`, which here nobody has to call.
 *
 * @throws ImproperlyConfigured when tasks are to be signed and a setting is missing, or unsigned ones would be accepted;
 *   SecurityError for a key or a certificate that cannot be used
 */
export function authFromSettings(settings: Settings, serializers: SerializerRegistry): Serializer | undefined {
  const { securityKey: key, securityCertificate: certificate, securityCertStore: certStore } = settings;
  if (settings.taskSerializer === "auth") {
    if (!key || !certificate || !certStore) {
      throw new ImproperlyConfigured(
        'taskSerializer "auth" needs the settings securityKey, securityCertificate and securityCertStore',
      );
    }
    if (settings.acceptContent.length !== 1 || settings.acceptContent[0] !== "auth") {
      throw new ImproperlyConfigured(
        'taskSerializer "auth" needs acceptContent ["auth"]: there is no point in signing what nobody verifies',
      );
    }
  }
  if (!certStore) return undefined;
  const { securityKeyPassword: keyPassword, securityDigest: digest } = settings;
  return authSerializer(signingWith({ key, keyPassword, certificate, certStore, digest }), serializers);
}
