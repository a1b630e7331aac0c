/** A drawing beside words that say the same. */
import { ICONS, type IconName } from "./rooms";

export const Icon = ({ name }: { name: IconName }) => (
  <svg className="icon-of" viewBox="0 0 20 20" width="18" height="18" aria-hidden="true">
    <path d={ICONS[name]} />
  </svg>
);
