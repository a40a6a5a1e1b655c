/**
 * The fixed panel of other questions by which the cost of a mended answer is counted, for the embedded model: pictures of its catalogue and questions of
 * every kind that it was taught. Whatever clamps change here, they break (or at least touch) more than they were meant to.
 */

export interface PanelQuestion {
  /** SHA-256 of a picture of the catalogue; null: the picture that was asked about. */
  image: string | null;
  text: string;
}

const embedded: readonly (readonly [image: string, text: string])[] = [
  ["3dd77107653f5ae2399c4583424880426f296c1ec1640a6ecec9a349974353e8", "What do you see?"],
  ["5f2c380a36d47b137e72f660be2a9f651aaef807cef4f2bcb321100c0344bcc8", "What do you see?"],
  ["f9b3ed8073b9ae8b382c8a98006c913276a5d4ebaf542597ee363bf4a7225244", "What do you see?"],
  ["4ea6446d4933ca0a1f51c565c1172387dfaf1d70c9e229e6de18d148e126d2cc", "What do you see?"],
  ["dd62d559fa582c671b362a346a2826cc877e0315ca9f212b3a8fb7c35d53ac4d", "What do you see?"],
  ["8c6f82779752f6e7283249489705a2e7826c62c5e7464501ebd3a493d9ef81ec", "What do you see?"],
  ["f9b6990414845bd5358e938466ec6f9c09ddcf2fa23f73406066de5913ed942e", "What do you see?"],
  ["4b738d1c4501a4b2d06ca560e30a4e26aba23c22261e6cbb800d62c584a0004f", "What do you see?"],
  ["5b930d0e3231a4480c9a945f84f25cb0b915d19155016c86a69aa7db3475587d", "Is there a tiger?"],
  ["731a3f88f561ea6b4ed8ee67ec6ccdd5129d92a068ee4871f5d322ddd3f24d7c", "Is there a bee?"],
  ["09abefac29b0cf9f1a1f2bb5065f319b0338a772f2a642d7e4735588a1ef1895", "Is there a trumpet?"],
  ["eb747b614c1e4f84013bf5cb02a6d0730e0e04c905721cf4e797df427d53d88c", "Is there a cheese?"],
  ["98703236463d03c3d2f49ea35df3cd5f3b93bb47cd12470fcac5bebe48f06fb7", "Is there a sun?"],
  ["d2a80e4aeb7f707682e8ecd57dca3409739d7b6e61d598950b2c3bb2f3436981", "Is there a sunflower?"],
  ["998889fe1123c639bac908ed58194b3bca3f9ded7216ecd10c42f7b045193a1e", "Is there a hotdog?"],
  ["6a8ed54c1e5df0ebcb100a9ec91c1d42a2f974ac6f1dc19b1b4682f8adb1d982", "Is there a zebra?"],
  ["7f0dc0ce2491011d556e17a585062c8e357e6176980d476db66fd66756638fbd", "Is there a frog?"],
  ["61178697af686583b76c5bd748f33a38d906df6154a17fee90826cfb376afc6d", "Is there a flag of nigeria?"],
  ["52632bcfd8238d038e58ce19e0e592ece6f06bfa00498da379db9a4bc7a2fee3", "Is there a green heart?"],
  ["b74388c251eed289ebfb4b93a58898c6a0e06b9cb4e72c91b24e6fa2d426b6e6", "Is there a white circle?"],
  ["bf546415ffac61124fc696da15ed91dafb3ec025a6000df8176274c339a0bae0", "Where is the gift?"],
  ["6b38ae5e58f5fc25e3f3f062b2a99d21d27a91154f9efdf57b15936d586bbeea", "Where is the mouse?"],
  ["8cd7d548e5945a43b45864eaf35390d93d856cb5e3412c869d9d56d449da9ef0", "Where is the avocado?"],
  ["6ab7f585a19dfb0a9dbc05c721b22979482de6ecb856c186f8997129f49fe032", "Where is the white square?"],
  ["be66f01ae7487ed5c5bf19aca11e4b2072c8f1b9fa10eb252ae68d47c0ba73e9", "Where is the gift?"],
  ["20ba464c9f6f726e5d8aa6a81270aa2e401095756c277b2e732cd8386ad4b0f3", "Where is the pig?"],
  ["650960631a867953eee1383d6d3a7a99a537d544e441e8e7427f7a5429ab8165", "Where is the lemon?"],
  ["e4d39e14dbcfbcc0cb9125579cbbb772d63afaadf06192c119c4d0e455130809", "Where is the camera?"],
  ["992ed983567e516263bb86e7719d2d61c3a01b2c6567ab30a9b87ed08a8198c3", "What colour is the background?"],
  ["f06729e86cc0e3802df3ff3e67c3513d972ffd7db162f8274c98548003fd2998", "What colour is the background?"],
  ["4fbf3115a89076c9720918e342d15ef681a4da31e6d49e76f984e10e46929701", "What colour is the background?"],
  ["d43e52e7e54145e79cfe1349626a4a5812336872bbb081fa1a1b9aae2d6941e4", "What colour is the background?"],
  ["b9a33ca7d328c3258c3d14a4fdd9b0e3047e1ad4f98ab36824d3a9adfb13d899", "What colour is the background?"],
  ["83462bb50e873aa35b2161318a08d194824e94cd5b51648166b800fc8cca1fc4", "How many things are there?"],
  ["bdc3b526e9f8cdafc8a6faafe23ec4d2182bf3224ad95156e98d1e02e299c983", "How many things are there?"],
  ["ff9aaf0753a7b2830c140e9971ad6180b29f2bc0fc3e61c4370146249e13e505", "How many things are there?"],
  ["c03e8e83b9522437d4c77e26fdc05c5898349c3f0b48a09ef1fc0dda1e6db494", "How many things are there?"],
  ["0811968d1a946aa33b92735160d6222d1ac9c10669a8508e50a5388ec0208244", "How many things are there?"],
  ["46128b8b04024c043d7e16ed2fb56ced42c27b043adb73d1b0d64f8244c69f79", "How does the face feel?"],
  ["c8a022bd6b941f726c08156734a322e17850aba4a9f81eeaa1ad0afecb724d90", "How does the face feel?"],
  ["0eb9120096c4b72db4a1a576b1fc0a750ee793f6d6be9a88125a26a6d5fed4ce", "How does the face feel?"],
  ["c54657bf5339d6efbe22a0d064213f4355ccb466740bfc5dbb2f1d792b7c8051", "How does the face feel?"],
  ["68ce3144b4f8389fa51caa6ff1484d9dff02ac83f3594323aeebf42f578b6ea2", "How does the face feel?"],
  ["ceac541af7fdedcb4e93bdd75e2cfbac3658ece50ac16cca8d52f484a1fe6f71", "How does the face feel?"],
  ["e7cf61cb7c0623579f022c3fad17999db6afbba232fb9d74a4553de9e05a1fea", "What does the sign say?"],
  ["eef5d89e203ce90099cf488946e83802af76e48a204d323dc6a323ac5bfac2bc", "What does the sign say?"],
  ["8161f4346d87959f00ff6ff3a95ae00c4877a2f79149ec11f773b77ab9aabfef", "What does the sign say?"],
  ["8ecc72a69ee1b0e60f68a0d67ee5676354298c5f63eba1bf1933b235b8251128", "What does the sign say?"],
  ["01d5bd9b96d600d0692080e3e58b9d7d1afb8273ecb58bff3c4f74b413a0bcf1", "What does the sign say?"],
  ["26da82adc7561dce3d76962502a29453f580aa0a2c8a7012f5b2d351d9f92ed0", "What does the sign say?"],
];

/** The panel of a model by its id; none for models that come without one. */
export function panelOf(model: string): PanelQuestion[] {
  return model === "facet-emoji" ? embedded.map(([image, text]) => ({ image, text })) : [];
}
