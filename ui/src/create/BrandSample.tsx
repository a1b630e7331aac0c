/** How a video of a brand kit looks: its colours and fonts on a lower third, its logo in its corner. */
import { t } from "@lingui/core/macro";
import type { Brand } from "../api/client";
import { useAssets } from "./useAssets";

const WIDTH = 320;
const HEIGHT = 180;
/** What a video takes where the kit has none. */
const USUAL = { text: "#ffffff", accent: "#35b6c9", panel: "#10202ce6" };

export function BrandSample({ kit }: { kit: Pick<Brand, "colours" | "fonts" | "logo"> }) {
  const { colours, fonts, logo } = kit;
  const images = useAssets(["image"]);
  const image = images.data?.find((one) => one.sha256 === logo?.image.sha256);
  const accent = colours.accent ?? USUAL.accent;
  return (
    <svg className="brand-sample" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={t`How a video looks with it`}>
      <rect className="wall" width={WIDTH} height={HEIGHT} />
      <g className="figure">
        <circle cx="160" cy="68" r="31" />
        <path d="M88 180c0-46 30-72 72-72s72 26 72 72z" />
      </g>
      <g transform="translate(16 126)">
        <rect width="150" height="40" rx="4" fill={colours.panel ?? USUAL.panel} />
        <rect width="5" height="40" rx="2" fill={accent} />
        <text
          x="16"
          y="17"
          fontSize="14"
          fontWeight="700"
          fontFamily={fonts.heading ?? undefined}
          fill={colours.text ?? USUAL.text}
        >
          {t`Name`}
        </text>
        <text x="16" y="32" fontSize="11" fontFamily={fonts.body ?? undefined} fill={colours.text ?? USUAL.text}>
          {t`What they do`}
        </text>
      </g>
      {logo && image && (
        <image
          href={image.url}
          x={logo.box.x * WIDTH}
          y={logo.box.y * HEIGHT}
          width={logo.box.width * WIDTH}
          height={logo.box.height * HEIGHT}
          opacity={logo.opacity}
        />
      )}
    </svg>
  );
}
