/** Who did something, as people read it: the server calls its own user by the name of their key. */
import { t } from "@lingui/core/macro";

const LOCAL_USER = "this machine";

export const personWords = (name: string) =>
  name.startsWith(LOCAL_USER) ? t`the server’s own user` + name.slice(LOCAL_USER.length) : name;
